"""Bytes in, values out: the OpenAI and HTTP/1.1 wire formats. Pure; indifferent to where the bytes were cut."""
