#include <stdbool.h>
#include <stdio.h>

static bool inside(double cr, double ci) {
    double zr = 0, zi = 0, tr = 0, ti = 0;
    for (int i = 0; i < 50 && tr + ti <= 4.0; i++) {
        zi = 2.0 * zr * zi + ci;
        zr = tr - ti + cr;
        tr = zr * zr;
        ti = zi * zi;
    }
    return tr + ti <= 4.0;
}

int main(void) {
    int n = 500, count = 0;
    for (int y = 0; y < n; y++)
        for (int x = 0; x < n; x++) count += inside(2.0 * x / n - 1.5, 2.0 * y / n - 1.0);
    printf("%d\n", count);
    return 0;
}
