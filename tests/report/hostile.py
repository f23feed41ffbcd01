"""Texts that try to be more than texts."""

MARKUP = [
    "<script>window.pwned=1</script>",
    "</script><script>window.pwned=1</script>",
    "<img src=x onerror=window.pwned=1>",
    "\"'><svg onload=window.pwned=1>",
    "</style><style>*{display:none}</style>",
    "<!--<script>",
    "javascript:window.pwned=1",
    "${window.pwned=1}",
    "{{constructor.constructor('window.pwned=1')()}}",
    "&lt;b&gt;&amp;",
    "__proto__",
    "constructor",
]
ODD = [
    "\u2028\u2029",
    "a\u202egnp.exe",
    "nul\x00esc\x1b[31m",
    "$\\frac{1}{0}$ $_{$",
    "=HYPERLINK(\"http://x\")",
    "+1", "-1", "@SUM(A1)",
    "x" * 3000,
    "\U0001d54f\u0301\U0001f469\u200d\U0001f52c",
]  # fmt: skip
PRIVATE = [
    "FileNotFoundError: [Errno 2] No such file or directory: '/home/alice/secret project/data.idx'",
    "OSError: /home/alice/models/x.pt is damaged",
    r"OSError: C:\Users\alice\x.pt is damaged",
    r"cannot read \\fsrv9\share\alice\x.pt",
    "see ~/alice/notes.txt",
    "ConnectionError: 10.1.2.3:6379 refused by fe80:0:0:1:2:3:4:5",
    "ssh alice@host.example.org",
    "alice@host refused",
    "<module '/home/alice/a.py'> and </home/alice/a.pt> and </home/alice",
    "gcc -I/home/alice/inc -L/home/alice/lib --prefix=/home/alice",
    "cannot read ../../home/alice/q.pt",
    "no route to fe80::1",
    "listening on 2001:db8::1, port 3",
    "tcp [fe80::1%eth0]:6379 and [2001:db8::1]:6379.",
    "https://alice.example.org/secret?token=1",
]
SECRETS = ("alice", "secret", "10.1.2.3", "fe80", "2001", "eth0", "example.org", "token=", "fsrv9")
