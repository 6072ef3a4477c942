#include "base/edit.h"

unsigned rl_edit_distance(rl_str_t a, rl_str_t b) {
    enum { LIMIT = 40 };
    if (a.length > LIMIT || b.length > LIMIT) return 3;
    size_t gap = a.length > b.length ? a.length - b.length : b.length - a.length;
    if (gap > 2) return 3;
    unsigned row[LIMIT + 1];
    for (unsigned j = 0; j <= b.length; j++) row[j] = j;
    for (size_t i = 1; i <= a.length; i++) {
        unsigned diagonal = row[0], best = 3;
        row[0] = (unsigned)i;
        for (size_t j = 1; j <= b.length; j++) {
            unsigned above = row[j];
            unsigned cost = diagonal + (a.data[i - 1] != b.data[j - 1]);
            if (above + 1 < cost) cost = above + 1;
            if (row[j - 1] + 1 < cost) cost = row[j - 1] + 1;
            row[j] = cost;
            diagonal = above;
            if (cost < best) best = cost;
        }
        if (best > 2 && row[0] > 2) return 3;
    }
    return row[b.length];
}
