"""Numbers -> those without the calls that the code could make and never does, each rule with its proof.

A rule may only take away what its proof covers: where one step of it is not seen, the call stays.

    unreferenced      functions of glibc's static programs to which nothing leads: ``functions`` tells what leads there
                      from what looks so, ``memory`` what data leads to; ``name_services`` knows the resolver
    fallbacks         code that runs only where the kernel does not know a call before it
    decided_branches  code behind branches that constants decide; ``spawning`` knows some of posix_spawn's child
                      (``actions`` and ``musl_actions`` its file actions), ``constant_propagation`` what of a function
                      runs for the constants that it is given
    go                what Go's runtime and library do on occasions only; ``go_dominance`` and ``go_attributes`` are its
                      proofs
    dead_paths        ways that are never taken, in programs without names; ``dominance`` is the proof, ``threads``
                      knows what makes threads
    musl              what musl does for attributes that a program never sets
"""
