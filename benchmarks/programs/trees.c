#include <stdio.h>
#include <stdlib.h>

typedef struct tree {
    struct tree *left, *right;
} tree_t;

static tree_t* make(int depth) {
    tree_t* tree = malloc(sizeof *tree);
    if (!tree) exit(1);
    tree->left = depth ? make(depth - 1) : NULL;
    tree->right = depth ? make(depth - 1) : NULL;
    return tree;
}

static long check(const tree_t* tree) { return tree ? 1 + check(tree->left) + check(tree->right) : 0; }

static void drop(tree_t* tree) {
    if (!tree) return;
    drop(tree->left);
    drop(tree->right);
    free(tree);
}

int main(void) {
    int most = 14;
    tree_t* long_lived = make(most);
    long total = 0;
    for (int depth = 4; depth <= most; depth += 4)
        for (long i = 0; i < 1L << (most - depth + 4); i++) {
            tree_t* tree = make(depth);
            total += check(tree);
            drop(tree);
        }
    printf("%ld\n", total + check(long_lived));
    drop(long_lived);
    return 0;
}
