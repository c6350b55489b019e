"""Answers HTTP as Python servers do it: server.py PORT HOST [asyncio|threads|prefork|reuseport]; HOST may be None."""

import asyncio
import os
import socket
import socketserver
import sys

TEXT = b"HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello"


class Hello(socketserver.StreamRequestHandler):
    def handle(self):
        self.rfile.readline()
        self.wfile.write(TEXT)


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True


def new_socket(host, port, *, reuse_port=False):
    return socket.create_server((host, port), family=socket.AF_INET, reuse_port=reuse_port)


def serve(listening):
    while True:
        connection, _ = listening.accept()
        with connection:
            connection.recv(4096)
            connection.sendall(TEXT)


def workers(listening_for):
    for _ in range(2):
        if os.fork() == 0:
            serve(listening_for())
    os.wait()


async def by_asyncio(host, port):
    async def answer(reader, writer):
        await reader.readline()
        writer.write(TEXT)
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(answer, host, port) as server:
        await server.serve_forever()


def main():
    port, host, mode = int(sys.argv[1]), sys.argv[2], sys.argv[3]
    if mode == "asyncio":
        asyncio.run(by_asyncio(None if host == "None" else host, port))
    elif mode == "threads":
        Server((host, port), Hello).serve_forever()
    elif mode == "prefork":
        listening = new_socket(host, port)
        workers(lambda: listening)
    else:
        workers(lambda: new_socket(host, port, reuse_port=True))


main()
