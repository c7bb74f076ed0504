"""Settings that can be used and are probably not what was meant: each rule is one notice. A rule that cries wolf is removed."""

from collections.abc import Iterator
from ipaddress import ip_address
from urllib.parse import urlsplit

from relay.config.findings import Remark, did_you_mean
from relay.config.schema import Channel, Settings

_PRIVATE_ENDS = (".local", ".internal", ".lan", ".localhost", ".home.arpa")


def advice(settings: Settings) -> Iterator[Remark]:
    """Go through all rules."""
    yield from _nothing_to_do(settings)
    yield from _models_that_lead_nowhere(settings)
    yield from _secrets_in_clear(settings)
    yield from _open_doors(settings)


def _nothing_to_do(settings: Settings) -> Iterator[Remark]:
    if not settings.channel:
        yield Remark(("channel",), "there is no [[channel]], so every request is refused", "add one, as in deploy/relay.toml")
    if not settings.key:
        yield Remark(("key",), "there is no [[key]], so every caller is refused", 'make one with "relay key create NAME"')


def _models_that_lead_nowhere(settings: Settings) -> Iterator[Remark]:
    served = {model for channel in settings.channel for model in channel.models}
    for number, key in enumerate(settings.key):
        if key.models == ():
            yield Remark(("key", number, "models"), "this key may use no model at all", "leave models out to allow all")
        for at, model in enumerate(key.models or ()):
            if served and model not in served:
                yield Remark(("key", number, "models", at), f"no channel serves the model {model}", did_you_mean(model, served))


def _secrets_in_clear(settings: Settings) -> Iterator[Remark]:
    for number, channel in enumerate(settings.channel):
        if channel.keys and _goes_out_in_clear(channel):
            yield Remark(("channel", number, "base_url"), "credentials go over the internet unencrypted", "write https://")
    edge = settings.edge
    is_public = edge.domain != "localhost" and not (edge.listen and _is_of_this_machine(edge.listen))
    if is_public and edge.tls.mode == "off" and not edge.real_ip_from:
        yield Remark(
            ("edge", "domain"),
            "callers' keys reach the edge unencrypted",
            'set tls = { mode = "files", … }, or name the outer proxy in real_ip_from',
        )


def _open_doors(settings: Settings) -> Iterator[Remark]:
    if not _is_of_this_machine(settings.server.admin):
        yield Remark(("server", "admin"), "other machines reach the admin listener, which asks for no key", "write 127.0.0.1:PORT")
    if not _is_of_this_machine(settings.server.listen):
        yield Remark(("server", "listen"), "other machines reach the relay past the edge", "write unix:PATH or 127.0.0.1:PORT")


def _goes_out_in_clear(channel: Channel) -> bool:
    url = urlsplit(channel.base_url)
    host = url.hostname or ""
    if url.scheme == "https" or ("." not in host.rstrip(".") and ":" not in host) or host.endswith(_PRIVATE_ENDS):
        return False
    try:
        return ip_address(host).is_global
    except ValueError:
        return True


def _is_of_this_machine(listen: str) -> bool:
    host = listen.rpartition(":")[0].strip("[]")
    if listen.startswith("unix:") or host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
