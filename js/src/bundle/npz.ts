/** Arrays from a numpy .npz file: a zip of .npy files, here without compression, as `numpy.savez` writes it. */

export interface NpyArray {
  /** numpy's name of the type: "<f4", "<i4". */
  dtype: string;
  shape: number[];
  /** The values, little-endian, in C order. */
  bytes: Uint8Array<ArrayBuffer>;
}

const LOCAL_FILE = 0x04034b50;
const CENTRAL_FILE = 0x02014b50;
const END_OF_DIRECTORY = 0x06054b50;

/**
 * Read all arrays of an npz file, by name.
 *
 * @throws RangeError or TypeError it is not such a file.
 */
export function readNpz(file: Uint8Array<ArrayBuffer>): Map<string, NpyArray> {
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  const arrays = new Map<string, NpyArray>();
  let end = file.length - 22;
  while (end >= 0 && view.getUint32(end, true) !== END_OF_DIRECTORY) end--;
  if (end < 0) throw new TypeError("it is not a zip file");
  let at = view.getUint32(end + 16, true);
  for (let count = view.getUint16(end + 10, true); count > 0; count--) {
    if (view.getUint32(at, true) !== CENTRAL_FILE) throw new TypeError("its directory is damaged");
    if (view.getUint16(at + 10, true) !== 0) throw new TypeError("it is compressed");
    const [size, nameLength] = [view.getUint32(at + 24, true), view.getUint16(at + 28, true)];
    const name = new TextDecoder().decode(file.subarray(at + 46, at + 46 + nameLength));
    const local = view.getUint32(at + 42, true);
    if (view.getUint32(local, true) !== LOCAL_FILE) throw new TypeError(`${name} is damaged`);
    const start = local + 30 + view.getUint16(local + 26, true) + view.getUint16(local + 28, true);
    arrays.set(name.replace(/\.npy$/, ""), readNpy(file.subarray(start, start + size)));
    at += 46 + nameLength + view.getUint16(at + 30, true) + view.getUint16(at + 32, true);
  }
  return arrays;
}

function readNpy(file: Uint8Array<ArrayBuffer>): NpyArray {
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  if (view.getUint32(0) !== 0x934e554d) throw new TypeError("it holds something that is not an array"); // "\x93NUM"
  const long = file[6]! >= 2;
  const start = long ? 12 : 10;
  const length = long ? view.getUint32(8, true) : view.getUint16(8, true);
  const header = new TextDecoder("latin1").decode(file.subarray(start, start + length));
  const found = /'descr': '([^']+)'.*'fortran_order': False.*'shape': \(([\d, ]*)\)/.exec(header);
  if (!found) throw new TypeError(`it has an array that this version can't read: ${header.trim()}`);
  const shape = found[2]!.split(",").flatMap((size) => (size.trim() ? [Number(size)] : []));
  const bytes = file.slice(start + length); // a copy begins where values of any size may
  const items = shape.reduce((product, size) => product * size, 1);
  if (bytes.length !== items * Number(found[1]!.slice(2))) throw new TypeError("it has an array of the wrong length");
  return { dtype: found[1]!, shape, bytes };
}
