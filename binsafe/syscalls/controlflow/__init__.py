"""Code -> functions with control flow inside of them and edges between them.

A *region* is the code of one function, or of what looks like one: from its first byte up to the start of the next. Only
regions that are asked for are decoded; the rest of the code is known by scans of its bytes alone.

Of the whole file, before anything is decoded:

    index           direct branches, and instructions that name addresses, found by scanning bytes
    pointers        what memory points to before the program starts: relocations, or words that look like addresses
    go_types        words of Go's types, which look like pointers
    distances       functions that constant memory names by their distance from somewhere
    naming          absolute addresses in immediates of instructions
    layout          where functions start and end: Go's table, unwind tables, symbols, calls
    bounds          where regions start and end: functions, less starts that decoding shows to be none

Of one region, decoded:

    regions         its control-flow graph
    stack_frames    where its stack pointer and the copies of it point
    places          one instruction, and the kinds of edges between instructions
    held_values     where what a register or stack slot may hold comes from; own_slots, in which slots compilers keep
                    where jumps lead
    switches        where its jump tables lead; jump_tables, through which tables its jumps do; table_limits, how long
                    each is
    registers       what is done with a function's address that a register holds
    data_sums       addresses of data that are made of a function's; overwritten, sums of what holds none any more
    strides         how far loops go on from addresses of data
    leftovers       what calls leave in registers, of which nobody knows
    pages           what is done with a page's address that a register holds (arm64)
    outlined        functions that do not keep their caller's callee-saved registers or stack slots

Between regions:

    address_taken   address-taken functions: whoever has a pointer to one may call it; odd_pointers, pointers to code
                    that are not aligned
    slots           who calls through the slots of the global offset table
    incoming        all edges into a region
    returns         which functions never return: nothing comes from behind a call of them
    catchers        functions that have a table of landing pads
    catching        landing pads: where exceptions are caught, and those out of which code

    program         all of that together: what the other packages ask
"""
