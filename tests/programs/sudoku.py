"""Sudoku by the same order of squares and digits."""


def solve(board, tries):
    tries[0] += 1
    best = None
    for at in range(81):
        if board[at] == 0:
            row, column = divmod(at, 9)
            used = {board[row * 9 + i] for i in range(9)} | {board[i * 9 + column] for i in range(9)}
            used |= {board[(row // 3 * 3 + i // 3) * 9 + column // 3 * 3 + i % 3] for i in range(9)}
            open_ = [d for d in range(1, 10) if d not in used]
            if best is None or len(open_) < len(best[1]):
                best = (at, open_)
    if best is None:
        return board
    at, open_ = best
    for digit in open_:
        found = solve([*board[:at], digit, *board[at + 1 :]], tries)
        if found:
            return found
    return None


for text in [
    "53..7....6..195....98....6.8...6...34..8.3..17...2...6.6....28....419..5....8..79",
    "8..........36......7..9.2...5...7.......457.....1...3...1....68..85...1..9....4..",
    "55..7....6..195....98....6.8...6...34..8.3..17...2...6.6....28....419..5....8..79",
    "53..7",
    "53..7....6..195....98....6.8...6...34..8.3..17...2...6.6....28....419..5....8..7x",
]:
    if len(text) != 81:
        print(f"no board: {len(text)} squares")
        continue
    if any(c not in ".0123456789" for c in text):
        print("no board: a square is neither a digit nor a dot")
        continue
    tries = [0]
    found = solve([0 if c == "." else int(c) for c in text], tries)
    if not found:
        print("no solution")
        continue
    for i in range(9):
        if i in {3, 6}:
            print("------+-------+------")
        row = found[i * 9 : i * 9 + 9]
        print(" | ".join(" ".join(map(str, row[k : k + 3])) for k in (0, 3, 6)))
    groups = [found[i * 9 : i * 9 + 9] for i in range(9)] + [found[i::9] for i in range(9)]
    print(
        ("valid" if all(len(set(g)) == 9 for g in groups) else "wrong")
        + ", "
        + ("easily" if tries[0] < 60 else "with much trying")
    )
