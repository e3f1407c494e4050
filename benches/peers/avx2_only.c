// Hides everything beyond AVX2 from a process, so that engines that have no option for it run as on an AVX2 CPU.
// `avx2_only.py` compiles it and sets LD_PRELOAD.
//
// CPUID has to trap. Where the kernel can make it fault (Intel; arch_prctl(2), ARCH_SET_CPUID; new threads inherit it, and
// programs that are started load this library too), it does. Elsewhere (AMD), `avx2_only.py` makes copies of the engines in
// which UD2 stands in place of CPUID, which is as long. The handler runs CPUID and clears the bits of AVX-512, AVX-VNNI and
// AMX.
#define _GNU_SOURCE
#include <cpuid.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

enum { ARCH_SET_CPUID = 0x1012 };

static int faults; // CPUID faults

static const unsigned LEAF_7_EBX = 1u << 16 | 1u << 17 | 1u << 21 | 1u << 26 | 1u << 27 | 1u << 28 | 1u << 30 | 1u << 31; // AVX-512
static const unsigned LEAF_7_ECX = 1u << 1 | 1u << 6 | 1u << 11 | 1u << 12 | 1u << 14;                                   // AVX-512
static const unsigned LEAF_7_EDX = 1u << 2 | 1u << 3 | 1u << 8 | 1u << 22 | 1u << 23 | 1u << 24 | 1u << 25; // AVX-512 and AMX

static void run_cpuid(int signal, siginfo_t *info, void *context) {
    greg_t *regs = ((ucontext_t *)context)->uc_mcontext.gregs;
    const unsigned char *at = (const unsigned char *)regs[REG_RIP];
    if (at[0] != 0x0f || at[1] != (signal == SIGSEGV ? 0xa2 : 0x0b)) { // a real fault
        struct sigaction usual = {.sa_handler = SIG_DFL};
        sigaction(signal, &usual, NULL);
        return;
    }
    unsigned leaf = (unsigned)regs[REG_RAX], subleaf = (unsigned)regs[REG_RCX], a, b, c, d;
    if (faults) syscall(SYS_arch_prctl, ARCH_SET_CPUID, 1);
    __cpuid_count(leaf, subleaf, a, b, c, d);
    if (faults) syscall(SYS_arch_prctl, ARCH_SET_CPUID, 0);
    if (leaf == 7 && subleaf == 0) {
        b &= ~LEAF_7_EBX;
        c &= ~LEAF_7_ECX;
        d &= ~LEAF_7_EDX;
    } else if (leaf == 7) { // AVX-VNNI, AVX-512 BF16, AVX-IFMA, AMX FP16, AVX-VNNI-INT8, AVX10 and later
        a = b = c = d = 0;
    }
    regs[REG_RAX] = a;
    regs[REG_RBX] = b;
    regs[REG_RCX] = c;
    regs[REG_RDX] = d;
    regs[REG_RIP] += 2;
}

__attribute__((constructor)) static void hide(void) {
    struct sigaction action = {.sa_sigaction = run_cpuid, .sa_flags = SA_SIGINFO | SA_NODEFER};
    sigaction(SIGSEGV, &action, NULL);
    sigaction(SIGILL, &action, NULL);
    faults = syscall(SYS_arch_prctl, ARCH_SET_CPUID, 0) == 0;
    if (!faults && getenv("AVX2_ONLY_COPIES") == NULL) {
        fputs("avx2_only: this CPU cannot make CPUID fault, and the engines are not copies made by avx2_only.py\n", stderr);
        exit(1);
    }
}
