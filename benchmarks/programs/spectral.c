#include <math.h>
#include <stdint.h>
#include <stdio.h>

enum { N = 300 };

static double a(int64_t i, int64_t j) { return 1.0 / (double)((i + j) * (i + j + 1) / 2 + i + 1); }

static void multiply(const double* x, double* y) {
    for (int i = 0; i < N; i++) {
        double sum = 0;
        for (int j = 0; j < N; j++) sum += x[j] * a(i, j);
        y[i] = sum;
    }
}

static void multiply_transposed(const double* x, double* y) {
    for (int i = 0; i < N; i++) {
        double sum = 0;
        for (int j = 0; j < N; j++) sum += x[j] * a(j, i);
        y[i] = sum;
    }
}

int main(void) {
    static double u[N], v[N], t[N];
    for (int i = 0; i < N; i++) u[i] = 1.0;
    for (int i = 0; i < 10; i++) {
        multiply(u, t);
        multiply_transposed(t, v);
        multiply(v, t);
        multiply_transposed(t, u);
    }
    double vbv = 0, vv = 0;
    for (int i = 0; i < N; i++) {
        vbv += u[i] * v[i];
        vv += v[i] * v[i];
    }
    printf("%.9f\n", sqrt(vbv / vv));
    return 0;
}
