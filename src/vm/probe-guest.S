# The guest of the accelerator probe: firmware of 64 KiB whose reset vector jumps here, at f000:0000. It walks from real mode over
# protected mode to long mode with paging, runs CPUID and RDTSC, and ends QEMU through its debug-exit device with status
# (0x2a << 1) | 1 = 85. A virtualisation that cannot do this runs no kernel.
# probe-guest.ts holds it assembled; a test assembles this file and compares.
    .code16
_start:
    cli
    xorw %ax, %ax
    movw %ax, %ds
    movw %ax, %es
    movw %ax, %ss
    movl $0x2003, 0x1000                    # PML4: one entry
    movl $0x3003, 0x2000                    # PDPT: one entry
    movl $0x0083, 0x3000                    # page directory: the first 2 MiB, one large page
    lgdtl %cs:(gdt_pointer - _start)
    movl %cr0, %eax
    orl $1, %eax
    movl %eax, %cr0
    ljmpl $0x08, $(0xf0000 + protected - _start)
    .code32
protected:
    movw $0x10, %ax
    movw %ax, %ds
    movl %cr4, %eax
    orl $0x20, %eax                         # PAE
    movl %eax, %cr4
    movl $0x1000, %eax
    movl %eax, %cr3
    movl $0xc0000080, %ecx                  # EFER.LME
    rdmsr
    orl $0x100, %eax
    wrmsr
    movl %cr0, %eax
    orl $0x80000000, %eax                   # paging on: long mode
    movl %eax, %cr0
    ljmpl $0x18, $(0xf0000 + long - _start)
    .code64
long:
    movl $1, %eax
    cpuid
    rdtsc
    movl $100000, %ecx
1:  decl %ecx
    jnz 1b
    movb $0x2a, %al
    outb %al, $0xf4
2:  hlt
    jmp 2b
    .balign 8
gdt:
    .quad 0
    .quad 0x00cf9a000000ffff
    .quad 0x00cf92000000ffff
    .quad 0x00af9a000000ffff
gdt_pointer:
    .word 31
    .long 0xf0000 + gdt - _start
