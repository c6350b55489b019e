"""bandit_runner: thirty flaky servers in binsafe's sandbox, a load balancer in front, bandit strategies inside it.

    model errors      the words that all share, and what can go wrong
    intervals tables  how sure a mean is; tables for people                    linear  linear programs
    strategies        which server the next attempt goes to: one algorithm per file
    runs              the store of what was played
    flakyservers      the stand-in: Go sources -> the servers' executable
    servers           that, inspected, in binsafe's sandbox
    balancer          requests -> a strategy's choices -> servers
    simulation        the same without sockets, and who knows the truth
    harness           load on a balancer, and what came of it
    adapters          our strategies in other libraries' shapes
    dashboard         pages to watch and compare
    cli               the commands

Uses binsafe's public names (``binsafe.__all__``), its frame of a command line (`binsafe.cli`) and `binsafe.lazy`.
"""
