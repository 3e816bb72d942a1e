/* Written by scripts/protocol-header.ts from src/guest/protocol.ts; edit that file instead. */
#pragma once

#define PROTOCOL_VERSION 1u
#define HEADER_BYTES 12u
#define MAX_DATA_BYTES 262144u
#define MAX_CONTROL_BYTES 2162688u
#define WINDOW_BYTES 262144u
#define MAX_STREAMS 512u
#define MAX_CBOR_DEPTH 8u

enum frame_type {
    FRAME_HELLO = 1,
    FRAME_CONFIGURE = 2,
    FRAME_CONFIGURED = 3,
    FRAME_CONFIGURE_FAILED = 4,
    FRAME_PROTOCOL_ERROR = 5,
    FRAME_REQUEST = 8,
    FRAME_RESPONSE = 9,
    FRAME_REQUEST_FAILED = 10,
    FRAME_EVENT = 11,
    FRAME_EXEC = 16,
    FRAME_STARTED = 17,
    FRAME_EXEC_FAILED = 18,
    FRAME_EXITED = 19,
    FRAME_STDIN = 20,
    FRAME_STDOUT = 21,
    FRAME_STDERR = 22,
    FRAME_CREDIT = 23,
    FRAME_SIGNAL = 24,
    FRAME_RESIZE = 25,
    FRAME_STDIN_FAILED = 26,
    FRAME_DISCARD = 27,
    FRAME_ATTACH = 28,
    FRAME_DETACH = 29,
};

enum frame_flag {
    FLAG_END = 1,
    FLAG_REPLAY = 2,
};

enum channel {
    CHANNEL_STDIN = 0,
    CHANNEL_STDOUT = 1,
    CHANNEL_STDERR = 2,
};

enum signal_target {
    SIGNAL_TARGET_GROUP = 0,
    SIGNAL_TARGET_TREE = 1,
};

enum failure_kind {
    FAILURE_NOT_FOUND = 0,
    FAILURE_NOT_EXECUTABLE = 1,
    FAILURE_BAD_INTERPRETER = 2,
    FAILURE_BAD_CWD = 3,
    FAILURE_BAD_USER = 4,
    FAILURE_BAD_ARGUMENT = 5,
    FAILURE_RESOURCE_LIMIT = 6,
    FAILURE_OUT_OF_MEMORY = 7,
    FAILURE_TERMINAL_FAILED = 8,
    FAILURE_INVALID_STATE = 9,
    FAILURE_OTHER = 10,
};

/* The names on the wire, in the order of enum failure_kind. */
#define FAILURE_KIND_NAMES \
    "not_found", \
    "not_executable", \
    "bad_interpreter", \
    "bad_cwd", \
    "bad_user", \
    "bad_argument", \
    "resource_limit", \
    "out_of_memory", \
    "terminal_failed", \
    "invalid_state", \
    "other"

enum rlimit_number {
    LIMIT_CPU = 0,
    LIMIT_FSIZE = 1,
    LIMIT_DATA = 2,
    LIMIT_STACK = 3,
    LIMIT_CORE = 4,
    LIMIT_RSS = 5,
    LIMIT_NPROC = 6,
    LIMIT_NOFILE = 7,
    LIMIT_MEMLOCK = 8,
    LIMIT_AS = 9,
    LIMIT_LOCKS = 10,
    LIMIT_SIGPENDING = 11,
    LIMIT_MSGQUEUE = 12,
    LIMIT_NICE = 13,
    LIMIT_RTPRIO = 14,
    LIMIT_RTTIME = 15,
};

#define RLIMIT_COUNT 16u
