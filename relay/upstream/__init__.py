"""Outbound IO: our own HTTP/1.1 connections to the channels, in one nested epoll."""
