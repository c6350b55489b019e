"""Code -> regions with edges between them.

index           direct branches, and instructions that name addresses, by scanning bytes
pointers        what memory points to before the program starts: relocations, or words
go_types        words of Go's types, which look like pointers
layout          where functions start and end: Go's table, unwind tables, symbols, calls
bounds          where regions start and end: functions, less starts that decoding shows to be none
regions         one function decoded: control flow and stack frame
places          one instruction, and how control comes from one to another
switches        where jump tables lead
registers       functions whose address a register holds, only to call them
outlined        short functions that change registers or slots of their callers
taken           where addresses of functions are taken as values
slots           who calls what the slots of the global offset table point to
incoming        where control comes from into a region
catchers        functions in which exceptions may be caught
catching        landing pads: where exceptions are caught, and out of which code
program         all of that together: what the walks ask
"""
