import assert from 'node:assert/strict';
import { test } from 'node:test';
import { dealOut, OperatorStates, withUnion } from './operatorstate.js';

function subtask(k: number): OperatorStates {
  const s = new OperatorStates(null);
  s.listState<string>({ name: 'l' }).addAll([`l${k}a`, `l${k}b`]);
  s.unionListState<number>({ name: 'u' }).add(k);
  s.broadcastState<string, number>({ name: 'b' }).put('rule', 7);
  return s;
}

test('on another parallelism list state is dealt out, union list state is given whole, broadcast state copied', () => {
  const states = [0, 1, 2].map(k => subtask(k).snapshot());
  for (const parallelism of [1, 2, 4]) {
    const now = Array.from({ length: parallelism }, (_, k) => new OperatorStates(dealOut(states, k, parallelism)));
    const lists = now.map(s => s.listState<string>({ name: 'l' }).get());
    assert.deepEqual(lists.flat().sort(), ['l0a', 'l0b', 'l1a', 'l1b', 'l2a', 'l2b']);
    assert.ok(Math.max(...lists.map(l => l.length)) - Math.min(...lists.map(l => l.length)) <= 1, 'even');
    for (const s of now) {
      assert.deepEqual(s.unionListState<number>({ name: 'u' }).get(), [0, 1, 2]);
      assert.equal(s.broadcastState<string, number>({ name: 'b' }).get('rule'), 7);
    }
  }
});

test('at the same parallelism a subtask has its own list, and the union of all', () => {
  const states = [0, 1].map(k => subtask(k).snapshot());
  const one = new OperatorStates(withUnion(states[1], states));
  assert.deepEqual(one.listState<string>({ name: 'l' }).get(), ['l1a', 'l1b']);
  assert.deepEqual(one.unionListState<number>({ name: 'u' }).get(), [0, 1]);
});

test('a snapshot is what was there then: changes that follow are not in it', () => {
  const s = new OperatorStates(null);
  const item = { n: 1 };
  const list = s.listState<{ n: number }>({ name: 'l' });
  list.add(item);
  const snapshot = s.snapshot();
  item.n = 2;
  list.add({ n: 3 });
  list.get().push({ n: 4 });
  assert.deepEqual(snapshot.list['l'], [{ n: 1 }]);
  assert.deepEqual(list.get(), [{ n: 1 }, { n: 3 }]);
  assert.throws(() => { list.add((() => 1) as unknown as { n: number }); }, /takes JSON only/);
});
