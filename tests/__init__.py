"""Tests. unit/ mirrors relay/; the other folders each hold one kind of proof; support/ holds builders and fakes."""
