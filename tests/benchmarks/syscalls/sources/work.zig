// Zig without a C library: arguments, memory, files, threads.
const std = @import("std");

fn thread(value: *std.atomic.Value(u32)) void {
    _ = value.fetchAdd(1, .seq_cst);
}

pub fn main() !void {
    var value = std.atomic.Value(u32).init(0);
    var all: [3]std.Thread = undefined;
    for (&all) |*one| one.* = try std.Thread.spawn(.{}, thread, .{&value});
    for (all) |one| one.join();
    std.debug.print("{d} threads\n", .{value.load(.seq_cst)});
    if (value.load(.seq_cst) != 3) @panic("threads were lost");
}
