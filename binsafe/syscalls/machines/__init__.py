"""What instructions mean: a few files for each processor, its branches and conventions and its data flow first.

machine         the questions, and the words of the answers
x86_64          with ``x86_64_values``: data flow; ``_frames``: the stack; ``_branches``: what a branch depends
                on; ``_execution``: registers that are known; ``_uses``: what is done with an address; ``large_model``
arm64           with ``arm64_values``, ``_frames`` and ``_branches``; ``_addresses``, which take two instructions;
                ``_tables``: what jumps take their targets from
conditions      what branches of both ask of two numbers
arithmetic      what code does with a number on its way
"""
