"""The ways in which a company fails to give a usable answer after it has read the request."""

from __future__ import annotations

import gzip

from tests.http_company import Conversation


def hang_before_answer(conversation: Conversation) -> None:
    conversation.read_request()
    conversation.hang()


def drip_headers(conversation: Conversation) -> None:
    conversation.read_request()
    conversation.connection.sendall(b"HTTP/1.1 200 OK\r\n")
    conversation.drip(b"X-Slow: 1\r\n", every_seconds=0.1)


def drip_status_line(conversation: Conversation) -> None:
    conversation.read_request()
    conversation.drip(b"H", every_seconds=0.1)


def drip_body(conversation: Conversation) -> None:
    conversation.read_request()
    conversation.connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n")
    conversation.drip(b"x", every_seconds=0.1)


def drip_chunks(conversation: Conversation) -> None:
    conversation.read_request()
    conversation.connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    conversation.drip(b"1\r\nx\r\n", every_seconds=0.1)


def drip_interim_answers(conversation: Conversation) -> None:
    conversation.read_request()
    conversation.drip(b"HTTP/1.1 102 Processing\r\n\r\n", every_seconds=0.1)


def reset_before_answer(conversation: Conversation) -> None:
    conversation.read_request()
    conversation.reset()


def close_before_answer(conversation: Conversation) -> None:
    conversation.read_request()


def cut_body(conversation: Conversation) -> None:
    conversation.read_request()
    conversation.connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{")


def cut_headers(conversation: Conversation) -> None:
    conversation.read_request()
    conversation.connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Le")


def speak_another_protocol(conversation: Conversation) -> None:
    conversation.read_request()
    conversation.connection.sendall(b"220 mail.example.com ESMTP\r\n")


def answer_too_much(conversation: Conversation) -> None:
    conversation.read_request()
    conversation.answer("200 OK", b"x" * 300_000)


def answer_without_end(conversation: Conversation) -> None:
    conversation.read_request()
    conversation.connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
    conversation.drip(b"x" * 65536, every_seconds=0)


def answer_compressed(conversation: Conversation) -> None:
    conversation.read_request()
    bomb = gzip.compress(b"x" * 10_000_000)
    conversation.answer("200 OK", bomb, "Content-Encoding: gzip")
