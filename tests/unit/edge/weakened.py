"""Each audit rule with the ways to weaken an edge that it must notice."""

from relay.edge.conf import Regex, Var, block, line, when
from relay.edge.scope import Tree
from tests.unit.edge.edges import Weaken, less, mapping, saying, with_more, without

PUBLISHED = "location = /v1/embeddings"
PAGE = "location = /__edge_e/403"


def both(*steps: Weaken) -> Weaken:
    def apply(tree: Tree) -> Tree:
        for step in steps:
            tree = step(tree)
        return tree

    return apply


ADMISSION: dict[str, list[Weaken]] = {
    "the_three_agree": [
        mapping("edge_line", "POST /v1/files HTTP/1.1", "post"),
        with_more("server", block("location", "=", "/v1/files", body=(line("proxy_pass", "http://relay"),))),
        less(PUBLISHED, "proxy_pass"),
    ],
    "default_is_deny": [
        mapping("edge_line", None, "post"),
        mapping("edge_host", None, "known"),
        mapping("edge_upgrade", None, "none"),
        mapping("edge_upgrade", "websocket", "none"),
        mapping("edge_transfer", None, "plain"),
        mapping("edge_verdict", None, "pass"),
        mapping("edge_verdict", "post unknown none plain", "pass"),
    ],
    "nothing_is_forwarded_unjudged": [
        less(PUBLISHED, "if"),
        both(less(PUBLISHED, "if"), with_more(PUBLISHED, when("edge_verdict", "=", "close", answer=403))),
    ],
    "locations_are_exact": [
        with_more("server", block("location", "^~", "/v1", body=(line("return", 403),))),
        with_more("server", block("location", "~", "^/v1/", body=(line("return", 403),))),
        with_more("server", block("location", "/v1/", body=(line("return", 403),))),
        with_more("server", block("location", "@named", body=(line("return", 403),))),
    ],
    "everything_else_is_refused": [
        less("location /", "return"),
        with_more("location /", line("proxy_pass", "http://relay")),
        with_more("server", block("location", "/", body=(line("return", 403),))),
    ],
    "nothing_unwanted": [
        with_more("server", line("rewrite", "^/api", "/v1")),
        with_more(PUBLISHED, line("alias", "/srv/")),
        with_more("http", line("include", "/etc/nginx/conf.d/*.conf")),
        with_more("server", line("root", "/srv")),
    ],
    "patterns_judge_nothing": [mapping("edge_line", Regex("^POST /v1/"), "post"), mapping("edge_host", Regex("example"), "known")],
    "ifs_only_answer": [
        with_more(PUBLISHED, block("if", "(1)", body=(line("add_header", "A", "b"),))),
        with_more("server", when("edge_verdict", "=", "close", answer=444)),
    ],
    "strangers_are_closed": [
        saying("listen", "443", "ssl"),
        with_more("server", line("listen", "443", "default_server", "ssl")),
        less("location /", "return"),
        both(less("location /", "return"), with_more("location /", line("return", "403"))),
    ],
    "listeners_are_known": [
        with_more("server", line("listen", "8081")),
        with_more("http", block("server", body=(line("listen", "127.0.0.1:9", "default_server"),))),
    ],
}

FORWARDING: dict[str, list[Weaken]] = {
    "only_the_relay_is_reached": [
        saying("proxy_pass", Var("http_host")),
        saying("server", "127.0.0.1:8101"),
        with_more("upstream relay", line("server", "127.0.0.1:9")),
        with_more("http", line("set_real_ip_from", "127.0.0.1:8101")),
    ],
    "answers_are_not_held_back": [
        without("proxy_buffering"),
        without("proxy_max_temp_file_size"),
        without("gzip"),
        without("proxy_http_version"),
        with_more(PUBLISHED, line("proxy_buffering", "on")),
        with_more("server", line("gzip", "on")),
    ],
    "bodies_stay_in_memory": [
        without("client_body_buffer_size"),
        saying("client_body_buffer_size", "16k"),
        saying("client_max_body_size", "64m"),
        saying("client_body_temp_path", "tmp/bodies"),
        saying("proxy_request_buffering", "off"),
        saying("client_body_in_file_only", "on"),
    ],
    "headers_are_rebuilt": [
        without("proxy_pass_request_headers"),
        with_more("server", line("proxy_set_header", "X-Original-URL", Var("http_x_original_url"))),
        with_more(PUBLISHED, line("proxy_set_header", "X-A", "b")),
    ],
    "no_forged_identity": [
        with_more(PUBLISHED, line("proxy_set_header", "Host", Var("http_host"))),
        with_more(PUBLISHED, line("proxy_set_header", "X-Forwarded-For", Var("proxy_add_x_forwarded_for"))),
        with_more("http", line("limit_conn_zone", Var("http_x_forwarded_for"), "zone=x:1m")),
    ],
    "the_relay_does_not_steer": [without("proxy_ignore_headers"), saying("proxy_ignore_headers", "X-Accel-Expires")],
    "one_try_and_no_more": [
        without("proxy_next_upstream"),
        saying("proxy_next_upstream", "error", "timeout"),
        saying("proxy_intercept_errors", "on"),
        saying("proxy_ignore_client_abort", "on"),
    ],
    "kept_connections_end_here_first": [
        without("keepalive"),
        both(less("upstream relay", "keepalive_timeout"), with_more("upstream relay", line("keepalive_timeout", "75s"))),
    ],
    "waits_come_from_the_ladder": [
        without("proxy_read_timeout"),
        saying("proxy_read_timeout", "60s"),
        saying("proxy_connect_timeout", "60s"),
        saying("worker_shutdown_timeout", "2s"),
    ],
    "takers_are_limited": [less(PUBLISHED, "limit_req"), less(PUBLISHED, "limit_conn")],
}

EXPOSURE: dict[str, list[Weaken]] = {
    "no_version_is_told": [without("server_tokens"), saying("server_tokens", "on")],
    "no_answer_loses_headers": [
        with_more(PUBLISHED, line("add_header", "A", "b", "always")),
        without("add_header"),
        with_more(PAGE, line("add_header", "A", "b")),
    ],
    "errors_are_json": [
        without("error_page"),
        less(PAGE, "internal"),
        less(PAGE, "return"),
        both(less(PAGE, "return"), with_more(PAGE, line("return", 403, "<html>"))),
        with_more("server", line("error_page", "410", "/gone.html")),
        with_more(PUBLISHED, line("error_page", "502", "/__edge_e/502")),
    ],
    "counters_are_private": [with_more("server", block("location", "=", "/status", body=(line("stub_status"),)))],
    "logs_hold_no_secrets": [
        with_more("http", line("log_format", "other", Var("request"))),
        with_more("http", line("log_format", "other", Var("http_authorization"))),
        with_more("http", line("log_format", "other", Var("request_uri"), Var("status"))),
        saying("error_log", "logs/error.log", "debug"),
        saying("error_log", "logs/error.log"),
    ],
    "clients_are_bounded": [without("client_header_timeout"), without("send_timeout"), without("large_client_header_buffers")],
    "tls_has_a_floor": [
        without("ssl_protocols"),
        saying("ssl_protocols", "TLSv1", "TLSv1.2"),
        saying("ssl_ciphers", "ALL"),
        saying("ssl_session_tickets", "on"),
        without("ssl_early_data"),
        with_more("server", line("listen", "443")),
    ],
}
