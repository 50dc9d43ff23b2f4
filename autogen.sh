#!/bin/sh
# SPDX-License-Identifier: MIT
# Make ./configure from configure.ac: needs autoconf, automake and pkg-config.
cd "$(dirname "$0")" && exec autoreconf -fi
