function sieve(n) {
  const prime = [];
  for (let i = 0; i <= n; i++) prime.push(true);
  let count = 0;
  for (let i = 2; i <= n; i++) {
    if (prime[i]) {
      count++;
      for (let j = i * i; j <= n; j += i) prime[j] = false;
    }
  }
  return count;
}

print(sieve(4000000));
