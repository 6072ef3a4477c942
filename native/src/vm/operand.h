/* How the two loops (loop.c, leaf.c) name the operands of the running instruction, and whether they jump from one to the next. */
#ifndef RL_OPERAND_H
#define RL_OPERAND_H

#ifndef RL_THREADED
#if defined(__GNUC__) || defined(__clang__)
#define RL_THREADED 1
#else
#define RL_THREADED 0
#endif
#endif
#if RL_THREADED
#pragma GCC diagnostic ignored "-Wpedantic" /* computed goto */
#endif

/* The value of a float local is not needed any more: no instruction, and nothing to be saved around calls. */
#if defined(__GNUC__) && defined(__x86_64__)
#define RL_FORGET(value) __asm__("" : "=x"(value))
#elif defined(__GNUC__) && defined(__aarch64__)
#define RL_FORGET(value) __asm__("" : "=w"(value))
#else
#define RL_FORGET(value) ((void)(value))
#endif

#if defined(__GNUC__)
#define RL_FORGET_INTEGER(value) __asm__("" : "=r"(value))
#else
#define RL_FORGET_INTEGER(value) ((void)(value))
#endif

/* Kept in a register: what it holds is not known to be the same as before. */
#if defined(__GNUC__)
#define RL_KEEP(pointer) __asm__("" : "+r"(pointer))
#else
#define RL_KEEP(pointer) ((void)(pointer))
#endif

/* pc stands behind the instruction. */
#define A     (pc[-1].a)
#define B     (pc[-1].b)
#define C     (pc[-1].c)
#define D     (pc[-1].d)
#define UB    (pc[-1].b)
#define UC    (pc[-1].c)
#define SB    ((int64_t)(int16_t)pc[-1].b)
#define SC    ((int64_t)(int16_t)pc[-1].c)
#define IMM   (pc[-1].imm)
#define INDEX (pc[-1].index)

#endif
