/* What engine_wasm3.c calls: compiled to WebAssembly without a library, see build_peers.py. Records and batches lie in its memory. */
#define EXPORT(name) __attribute__((export_name(#name)))

enum { BATCH = 1000000 };

__attribute__((import_module("bench"), import_name("host"))) long long host(long long x);

struct record {
    long long id, count;
    double price, total;
};

static char text_bytes[64];
static struct record the_record;
static double batch_in[BATCH], batch_out[BATCH];

EXPORT(text_at) char* text_at(void) { return text_bytes; }
EXPORT(record_at) struct record* record_at(void) { return &the_record; }
EXPORT(in_at) double* in_at(void) { return batch_in; }
EXPORT(out_at) double* out_at(void) { return batch_out; }

EXPORT(empty) void empty(void) {}
EXPORT(add) long long add(long long a, long long b) { return a + b; }
EXPORT(echo) char* echo(char* text) { return text; }
EXPORT(total) struct record* total(struct record* r) {
    r->total = r->price * (double)r->count;
    return r;
}
EXPORT(back) long long back(long long x) { return host(x); }
EXPORT(loop) long long loop(long long n) {
    long long sum = 0;
    for (long long i = 0; i < n; i++) sum = host(sum);
    return sum;
}
EXPORT(scale) double scale(double x) { return x * 1.5 + 2.0; }
EXPORT(scale_all) void scale_all(int count) {
    for (int i = 0; i < count; i++) batch_out[i] = batch_in[i] * 1.5 + 2.0;
}
