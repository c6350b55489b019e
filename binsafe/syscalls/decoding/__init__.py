"""Bytes -> instructions. The only package that imports capstone.

code            which bytes of a slice are code, and what constants the program's memory holds
decode          bytes -> ``instructions``, counted against a budget; one of them in detail
operands        the operands of an x86 instruction, read from its text
capstone_library    capstone's shared library, called without its Python package, which is slow to load
capstone_package    that package, for the operands of other processors
surroundings    the instructions around an address, for a reader
"""
