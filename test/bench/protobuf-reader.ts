/** Reads protocol buffer messages without their schema: fields by number, in order. Source: protobuf.dev, "Encoding". */

export type ProtoFields = ReadonlyMap<number, readonly (number | Uint8Array)[]>;

export function readProto(bytes: Uint8Array): ProtoFields {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const fields = new Map<number, (number | Uint8Array)[]>();
  let at = 0;
  const varint = (): number => {
    for (let value = 0, scale = 1; ; scale *= 0x80) {
      const byte = view.getUint8(at++);
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) return value;
    }
  };
  while (at < bytes.length) {
    const tag = varint();
    const [field, wire] = [Math.floor(tag / 8), tag % 8];
    let value: number | Uint8Array;
    if (wire === 0) value = varint();
    else if (wire === 5) {
      value = view.getFloat32(at, true);
      at += 4;
    } else if (wire === 2) {
      const length = varint();
      if (at + length > bytes.length) throw new Error(`field ${field} reaches beyond the message`);
      value = bytes.subarray(at, at + length);
      at += length;
    } else throw new Error(`wire type ${wire} of field ${field} is not read`);
    fields.set(field, [...(fields.get(field) ?? []), value]);
  }
  return fields;
}

export function messagesOf(fields: ProtoFields, field: number): ProtoFields[] {
  return (fields.get(field) ?? []).map((value) => readProto(value as Uint8Array));
}

export function textsOf(fields: ProtoFields, field: number): string[] {
  return (fields.get(field) ?? []).map((value) => new TextDecoder().decode(value as Uint8Array));
}
