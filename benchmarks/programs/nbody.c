#include <math.h>
#include <stdio.h>

#define SUN_MASS 39.47841760435743
#define YEAR     365.24
enum { COUNT = 5 };

typedef struct body {
    double x, y, z, vx, vy, vz, mass;
} body_t;

static body_t bodies[COUNT] = {
    {0.0, 0.0, 0.0, 0.0, 0.0, 0.0, SUN_MASS},
    {4.84143144246472090, -1.16032004402742839, -0.103622044471123109, 0.00166007664274403694 * YEAR,
        0.00769901118419740425 * YEAR, -0.0000690460016972063023 * YEAR, 0.000954791938424326609 * SUN_MASS},
    {8.34336671824457987, 4.12479856412430479, -0.403523417114321381, -0.00276742510726411232 * YEAR,
        0.00499852801234917238 * YEAR, 0.0000230417297573763929 * YEAR, 0.000285885980666130812 * SUN_MASS},
    {12.8943695621391310, -15.1111514016986312, -0.223307578892655734, 0.00296460137564761618 * YEAR,
        0.00237847173959480950 * YEAR, -0.0000296589568540237556 * YEAR, 0.0000436624404335156298 * SUN_MASS},
    {15.3796971148509165, -25.9193146099879641, 0.179258772950371181, 0.00268067772490389322 * YEAR,
        0.00162824170038242295 * YEAR, -0.0000951592254519715870 * YEAR, 0.0000515138902046611451 * SUN_MASS},
};

static void offset_momentum(void) {
    double px = 0, py = 0, pz = 0;
    for (int i = 0; i < COUNT; i++) {
        px += bodies[i].vx * bodies[i].mass;
        py += bodies[i].vy * bodies[i].mass;
        pz += bodies[i].vz * bodies[i].mass;
    }
    bodies[0].vx = -px / SUN_MASS;
    bodies[0].vy = -py / SUN_MASS;
    bodies[0].vz = -pz / SUN_MASS;
}

static double energy(void) {
    double e = 0;
    for (int i = 0; i < COUNT; i++) {
        const body_t* b = &bodies[i];
        e += 0.5 * b->mass * (b->vx * b->vx + b->vy * b->vy + b->vz * b->vz);
        for (int j = i + 1; j < COUNT; j++) {
            const body_t* c = &bodies[j];
            double dx = b->x - c->x, dy = b->y - c->y, dz = b->z - c->z;
            e -= b->mass * c->mass / sqrt(dx * dx + dy * dy + dz * dz);
        }
    }
    return e;
}

static void advance(double dt) {
    for (int i = 0; i < COUNT; i++) {
        body_t* b = &bodies[i];
        for (int j = i + 1; j < COUNT; j++) {
            body_t* c = &bodies[j];
            double dx = b->x - c->x, dy = b->y - c->y, dz = b->z - c->z;
            double d2 = dx * dx + dy * dy + dz * dz, mag = dt / (d2 * sqrt(d2));
            double bm = b->mass * mag, cm = c->mass * mag;
            b->vx -= dx * cm;
            b->vy -= dy * cm;
            b->vz -= dz * cm;
            c->vx += dx * bm;
            c->vy += dy * bm;
            c->vz += dz * bm;
        }
    }
    for (int i = 0; i < COUNT; i++) {
        bodies[i].x += dt * bodies[i].vx;
        bodies[i].y += dt * bodies[i].vy;
        bodies[i].z += dt * bodies[i].vz;
    }
}

int main(void) {
    offset_momentum();
    printf("%.9f\n", energy());
    for (int i = 0; i < 200000; i++) advance(0.01);
    printf("%.9f\n", energy());
    return 0;
}
