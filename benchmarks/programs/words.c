#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { COUNT = 1000000, SLOTS = 4096 };

static struct {
    char word[16];
    int count;
} table[SLOTS];

static void count_word(const char* word, size_t length, int* distinct) {
    uint32_t hash = 2166136261u;
    for (size_t i = 0; i < length; i++) hash = (hash ^ (unsigned char)word[i]) * 16777619u;
    for (uint32_t slot = hash % SLOTS;; slot = (slot + 1) % SLOTS) {
        if (!table[slot].count) {
            memcpy(table[slot].word, word, length);
            ++*distinct;
        } else if (strlen(table[slot].word) != length || memcmp(table[slot].word, word, length) != 0) {
            continue;
        }
        table[slot].count++;
        return;
    }
}

int main(void) {
    static const char* const syllables[] = {"ka", "to", "mi", "re", "su", "no", "la", "vi"};
    char* text = malloc(COUNT * 7);
    size_t length = 0;
    int64_t seed = 42;
    if (!text) return 1;
    for (int i = 0; i < COUNT; i++) {
        seed = seed * 16807 % 2147483647;
        if (i) text[length++] = ' ';
        memcpy(text + length, syllables[seed / 65536 % 8], 2);
        memcpy(text + length + 2, syllables[seed / 524288 % 8], 2);
        memcpy(text + length + 4, syllables[seed / 4194304 % 8], 2);
        length += 6;
    }
    int distinct = 0, most = 0;
    const char* best = "";
    for (size_t at = 0; at < length;) {
        size_t start = at;
        while (at < length && text[at] != ' ') at++;
        count_word(text + start, at - start, &distinct);
        at++;
    }
    for (int slot = 0; slot < SLOTS; slot++)
        if (table[slot].count > most ||
            (table[slot].count && table[slot].count == most && strcmp(table[slot].word, best) < 0)) {
            best = table[slot].word;
            most = table[slot].count;
        }
    printf("%zu %d %s %d\n", length, distinct, best, most);
    free(text);
    return 0;
}
