import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

const KERNEL = 'filter decimal range';

function check(...args: string[]): { status: number | null; text: string } {
  const { status, stdout } = spawnSync(process.execPath, [fileURLToPath(new URL('check.js', import.meta.url)), '--short', '--only', KERNEL, ...args], { encoding: 'utf8' });
  return { status, text: stdout };
}

test('bench:check passes on the ratios it stored, fails when a kernel takes many times its stored ratio, and when none is stored for it', () => {
  const dir = mkdtempSync(path.join(tmpdir(), 'millrace-check-'));
  const ratios = path.join(dir, 'ratios.json');
  try {
    assert.equal(check('--ratios', ratios, '--write').status, 0);
    const stored = JSON.parse(readFileSync(ratios, 'utf8')) as Record<string, Record<string, number>>;
    const scaled = (factor: number): void => {
      const text = JSON.stringify(stored, (_, v: unknown) => (typeof v === 'number' ? v * factor : v));
      writeFileSync(ratios, text);
    };
    scaled(100);
    assert.equal(check('--ratios', ratios).status, 0);
    scaled(0.01);
    const slow = check('--ratios', ratios);
    assert.equal(slow.status, 1);
    assert.match(slow.text, /SLOWER/);
    writeFileSync(ratios, JSON.stringify(Object.fromEntries(Object.keys(stored).map(k => [k, {}]))));
    assert.equal(check('--ratios', ratios).status, 1);
  } finally {
    rmSync(dir, { recursive: true });
  }
});
