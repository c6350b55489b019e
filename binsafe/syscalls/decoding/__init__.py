"""Bytes -> instructions. The only package that imports capstone.

code            which bytes of a slice are code, and what constants the program's memory holds
decode          bytes -> ``instructions``, counted against a budget
operands        what an instruction works with, read from its text
capstone_library, capstone_package   the doors to capstone
surroundings    the instructions around an address, for a reader
"""
