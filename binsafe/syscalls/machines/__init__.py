"""What instructions mean: one processor a pair of files, one for its branches and conventions, one for its data flow.

machine         the questions, and the words of the answers
x86_64          with ``x86_64_values``; ``x86_64_branches``: what a conditional branch depends on; ``large_model``
arm64           with ``arm64_values``
arithmetic      what code does with a number on its way
"""
