"""Event streams as upstreams send them, event by event, without line ends. Shapes: OpenAI's reference, llama.cpp, vendors' pages."""

from collections.abc import Mapping

_CHUNK = '"id":"chatcmpl-1","object":"chat.completion.chunk","created":1700000000,"model":"m"'
DONE = "data: [DONE]"


def chunk(choices: str, rest: str = "") -> str:
    """One chunk of a chat completion."""
    return f'data: {{{_CHUNK},"choices":[{choices}]{rest}}}'


def delta(fields: str, finish: str = "null", rest: str = "") -> str:
    """One chunk with one choice."""
    return chunk(f'{{"index":0,"delta":{{{fields}}},"finish_reason":{finish}}}', rest)


USAGE = '"usage":{"prompt_tokens":3,"completion_tokens":2,"total_tokens":5}'
ROLE = delta('"role":"assistant","content":""')
HI = delta('"content":"Hi"')
STOP = delta("", '"stop"')

TRANSCRIPTS: Mapping[str, tuple[str, ...]] = {
    "openai with include_usage": (
        delta('"role":"assistant","content":"","refusal":null', rest=',"usage":null'),
        delta('"content":"Hi"', rest=',"usage":null'),
        delta("", '"stop"', ',"usage":null'),
        chunk("", f",{USAGE}"),
        DONE,
    ),
    "openai tool call": (
        delta(
            '"role":"assistant","content":null,"tool_calls":[{"index":0,"id":"call_1","type":"function","function":{"name":"f","arguments":""}}]'
        ),
        delta('"tool_calls":[{"index":0,"function":{"arguments":"{\\"a\\":1}"}}]'),
        delta("", '"tool_calls"'),
        chunk("", f",{USAGE}"),
        DONE,
    ),
    "deepseek reasoning": (
        ": keep-alive",
        delta('"role":"assistant","content":null,"reasoning_content":""'),
        delta('"content":null,"reasoning_content":"think"'),
        delta('"content":"Hi","reasoning_content":null'),
        delta('"content":"","reasoning_content":null', '"stop"', f",{USAGE}"),
        DONE,
    ),
    "groq": (
        delta('"role":"assistant","content":"","reasoning":"hm"', rest=',"x_groq":{"id":"req_1"}'),
        HI,
        delta("", '"stop"', f',"x_groq":{{"id":"req_1",{USAGE}}}'),
        DONE,
    ),
    "mistral thinking": (
        ROLE,
        delta('"content":[{"type":"thinking","thinking":[{"type":"text","text":"think"}]}]'),
        HI,
        delta('"content":""', '"stop"', f",{USAGE}"),
        DONE,
    ),
    "moonshot": (ROLE, HI, chunk(f'{{"index":0,"delta":{{}},"finish_reason":"stop",{USAGE}}}'), DONE),
    "llama.cpp": (
        'data: {"choices":[{"finish_reason":null,"index":0,"delta":{"role":"assistant","content":null}}],"created":1,"model":"m"}',
        'data: {"choices":[{"finish_reason":null,"index":0,"delta":{"content":"Hi"}}],"created":1,"model":"m"}',
        'data: {"choices":[{"finish_reason":"stop","index":0,"delta":{}}],"created":1,"model":"m"}',
        'data: {"choices":[],"created":1,"model":"m","usage":{"completion_tokens":2,"prompt_tokens":3,"total_tokens":5},"timings":{"n":0}}',
        DONE,
    ),
    "blanks in the JSON": (
        'data: {"choices": [{"index": 0, "delta": {"role": "assistant", "content": ""}, "finish_reason": null}], "usage": null}',
        'data: {"choices": [{"index": 0, "delta": {"content": "Hi"}, "finish_reason": null}], "usage": null}',
        'data: {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}], "usage": {"prompt_tokens": 3, "completion_tokens": 2}}',
        "data:[DONE]",
    ),
    "legacy completions": (
        'data: {"id":"cmpl-1","object":"text_completion","choices":[{"text":"","index":0,"logprobs":null,"finish_reason":null}]}',
        'data: {"id":"cmpl-1","object":"text_completion","choices":[{"text":"Hi","index":0,"logprobs":null,"finish_reason":null}]}',
        f'data: {{"id":"cmpl-1","object":"text_completion","choices":[{{"text":"","index":0,"finish_reason":"length"}}],{USAGE}}}',
        DONE,
    ),
    "usage with each token": (
        delta('"content":"H"', rest=',"usage":{"prompt_tokens":3,"completion_tokens":1}'),
        delta('"content":"i"', rest=',"usage":{"prompt_tokens":3,"completion_tokens":2}'),
        delta("", '"stop"', ',"usage":{"prompt_tokens":3,"completion_tokens":2}'),
        DONE,
    ),
}
"""Each says Hi (some think or call a tool), and reports 3 tokens of prompt and 2 of completion."""


def written(events: tuple[str, ...], line_end: str = "\n") -> bytes:
    """The bytes of a stream: an empty line after each event."""
    return "".join(event + line_end + line_end for event in events).encode()
