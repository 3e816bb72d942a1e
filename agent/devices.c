#include "devices.h"

#include <linux/bpf.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

#include "sys.h"

#define LOAD(to, field)                                                                            \
    {.code = BPF_LDX | BPF_MEM | BPF_W, .dst_reg = (to), .src_reg = BPF_REG_1,                     \
     .off = (int16_t)offsetof(struct bpf_cgroup_dev_ctx, field)}
#define SKIP_UNLESS_EQUAL(reg, value, count)                                                       \
    {.code = BPF_JMP | BPF_JNE | BPF_K, .dst_reg = (reg), .off = (count), .imm = (value)}
#define COPY(to, from) {.code = BPF_ALU64 | BPF_MOV | BPF_X, .dst_reg = (to), .src_reg = (from)}
#define AND(reg, value) {.code = BPF_ALU64 | BPF_AND | BPF_K, .dst_reg = (reg), .imm = (value)}
#define SHIFT_RIGHT(reg, bits) {.code = BPF_ALU64 | BPF_RSH | BPF_K, .dst_reg = (reg), .imm = (bits)}
#define RETURN(value)                                                                              \
    {.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = (value)},                   \
    {.code = BPF_JMP | BPF_EXIT}
/* Six instructions: allow the character device of this number. */
#define ALLOW(major, minor)                                                                        \
    SKIP_UNLESS_EQUAL(BPF_REG_4, (major), 3), SKIP_UNLESS_EQUAL(BPF_REG_5, (minor), 2), RETURN(1)

static int load_program(void)
{
    static const struct bpf_insn instructions[] = {
        LOAD(BPF_REG_2, access_type),
        LOAD(BPF_REG_4, major),
        LOAD(BPF_REG_5, minor),
        COPY(BPF_REG_3, BPF_REG_2),
        SHIFT_RIGHT(BPF_REG_3, 16),
        AND(BPF_REG_2, 0xffff),
        /* A node alone is harmless, and tar makes them; using one is what is checked. */
        SKIP_UNLESS_EQUAL(BPF_REG_3, BPF_DEVCG_ACC_MKNOD, 2),
        RETURN(1),
        {.code = BPF_JMP | BPF_JEQ | BPF_K, .dst_reg = BPF_REG_2, .off = 2, .imm = BPF_DEVCG_DEV_CHAR},
        RETURN(0),
        ALLOW(1, 3), /* null */
        ALLOW(1, 5), /* zero */
        ALLOW(1, 7), /* full */
        ALLOW(1, 8), /* random */
        ALLOW(1, 9), /* urandom */
        ALLOW(5, 0), /* tty */
        ALLOW(5, 2), /* ptmx */
        /* Pseudo-terminals. */
        SKIP_UNLESS_EQUAL(BPF_REG_4, 136, 2),
        RETURN(1),
        RETURN(0),
    };
    union bpf_attr attributes = {
        .prog_type = BPF_PROG_TYPE_CGROUP_DEVICE,
        .insn_cnt = LENGTH(instructions),
        .insns = (uint64_t)(uintptr_t)instructions,
        .license = (uint64_t)(uintptr_t)"Apache-2.0",
    };
    return sys_bpf(BPF_PROG_LOAD, &attributes);
}

void devices_restrict(int cgroup)
{
    int program = load_program();
    if (program < 0)
        die("load the device filter");
    union bpf_attr attributes = {
        .target_fd = (uint32_t)cgroup,
        .attach_bpf_fd = (uint32_t)program,
        .attach_type = BPF_CGROUP_DEVICE,
    };
    if (sys_bpf(BPF_PROG_ATTACH, &attributes) < 0)
        die("attach the device filter");
    close(program);
}
