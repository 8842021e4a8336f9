# SPDX-License-Identifier: GPL-2.0
"""Connects to a port of this machine. The exit status is the error's number."""

import socket
import sys

with socket.socket() as client:
    sys.exit(client.connect_ex(("127.0.0.1", int(sys.argv[1]))))
