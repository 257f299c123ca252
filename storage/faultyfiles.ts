/** FileSystem that fails by rule (storage/faults.ts): wraps a real one. */
import type { Faults } from './faults.js';
import type { FileSystem } from './filesystem.js';

export function faultyFiles(inner: FileSystem, faults: Faults): FileSystem {
  return {
    async open(path, mode) {
      await faults.check('file.open', path);
      const file = await inner.open(path, mode);
      return {
        async append(bytes) {
          const rule = faults.match('file.write', path);
          if (rule !== null) {
            if (rule.tornBytes !== undefined) await file.append(bytes.subarray(0, rule.tornBytes));
            await faults.apply(rule, 'file.write', path);
          }
          await file.append(bytes);
        },
        async read(offset, length) {
          await faults.check('file.read', path);
          return await file.read(offset, length);
        },
        size: () => file.size(),
        async sync() {
          await faults.check('file.sync', path);
          await file.sync();
        },
        close: () => file.close(),
      };
    },
    async readFile(path) {
      await faults.check('file.read', path);
      return await inner.readFile(path);
    },
    async rename(from, to) {
      await faults.check('file.rename', to);
      await inner.rename(from, to);
    },
    async unlink(path) {
      await faults.check('file.unlink', path);
      await inner.unlink(path);
    },
    async removeDirectory(path) {
      await faults.check('file.unlink', path);
      await inner.removeDirectory(path);
    },
    async makeDirectory(path) {
      await faults.check('file.mkdir', path);
      await inner.makeDirectory(path);
    },
    async list(path) {
      await faults.check('file.list', path);
      return await inner.list(path);
    },
    async listFiles(path) {
      await faults.check('file.list', path);
      return await inner.listFiles(path);
    },
    async syncDirectory(path) {
      await faults.check('file.sync', path);
      await inner.syncDirectory(path);
    },
    size: (path) => inner.size(path),
  };
}
