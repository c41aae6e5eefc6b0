/** JSON of the shape that is declared, or one phrase that names the field that is not. */

type Plain = "string" | "number";
/**
 * A type as a value: a plain type's name, [type of the items], {"*": type of every member}, or members by name; the
 * type of a member that may be missing is {"?": type}.
 */
export type Shape = Plain | readonly [Shape] | { readonly [name: string]: Shape };

export type TypeOf<S> = S extends "string"
  ? string
  : S extends "number"
    ? number
    : S extends readonly [infer Item]
      ? TypeOf<Item>[]
      : S extends { readonly "*": infer Member }
        ? Record<string, TypeOf<Member>>
        : S extends { readonly "?": infer Value }
          ? TypeOf<Value> | undefined
          : { [Name in keyof S]: TypeOf<S[Name]> };

/**
 * What `JSON.parse` gave, as the declared shape. Members that it does not have are left out.
 *
 * @param where what to call the value in errors, "graph.tolerance".
 * @throws TypeError a value is of another type, or is missing.
 */
export function readAs<const S extends Shape>(shape: S, value: unknown, where = ""): TypeOf<S> {
  return read(shape, value, where) as TypeOf<S>;
}

function read(shape: Shape, value: unknown, where: string): unknown {
  if (typeof shape === "object" && "?" in shape) {
    return value === undefined ? undefined : read(shape["?"], value, where);
  }
  if (value === undefined) throw new TypeError(`${where} is missing`);
  if (typeof shape === "string") {
    if (typeof value !== shape) throw new TypeError(`${where || "it"} is ${shortened(value)} and not a ${shape}`);
    return value;
  }
  if (isList(shape)) {
    if (!Array.isArray(value)) throw new TypeError(`${where || "it"} is ${shortened(value)} and not a list`);
    return value.map((item, index) => read(shape[0], item, `${where}[${index}]`));
  }
  if (value === null || typeof value !== "object" || Array.isArray(value)) {
    throw new TypeError(`${where || "it"} is ${shortened(value)} and not an object`);
  }
  const every = shape["*"];
  const members = Object.entries(every ? value : shape).map(([name, member]) => {
    const place = where ? `${where}.${name}` : name;
    return [name, read(every ?? (member as Shape), (value as Record<string, unknown>)[name], place)];
  });
  return Object.fromEntries(members);
}

function isList(shape: Shape): shape is readonly [Shape] {
  return Array.isArray(shape);
}

function shortened(value: unknown): string {
  const text = JSON.stringify(value);
  return text.length <= 40 ? text : `${text.slice(0, 40)}...`;
}
