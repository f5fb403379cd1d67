import Base
import Safetensors

/// Writes a file that `torch.load(weights_only=True)` reads, whole or not at all. The same content has the
/// same bytes: protocol 2, no times, nothing of the file's name.
///
/// - Parameters:
///   - content: plain values and tensors, which may share storages.
///   - storage: hands the elements of a storage, little-endian, to `write`, in any number of pieces; asked
///     once for each, in the order in which tensors name them.
/// - Throws: `badInput` for a tensor of a type that PyTorch's storages do not have.
public func writeTorchFile(
  _ content: PickledValue, to path: String,
  storage: (_ storage: PickledStorage, _ write: (UnsafeRawBufferPointer) throws -> Void) throws ->
    Void
) throws {
  var pickle = PickleWriter()
  try pickle.write(content)
  let file = try AtomicFile(path: path)
  var archive = ZipWriter(file)
  try archive.add("archive/data.pkl", pickle.finished())
  try archive.add("archive/byteorder", Array("little".utf8))
  for (number, part) in pickle.storages.enumerated() {
    try archive.begin("archive/data/\(number)", size: part.count * part.type.size)
    try storage(part) { try archive.append($0) }
    try archive.end()
  }
  try archive.add("archive/version", Array("3\n".utf8))
  try archive.finish()
  try file.commit()
}

/// Writes values as a pickle of protocol 2.
struct PickleWriter {
  private var output = LittleEndianBytes()
  /// In the order of the numbers that they have in the file.
  private(set) var storages: [PickledStorage] = []
  private var numbers: [PickledStorage: Int] = [:]

  init() { output.bytes = [0x80, 2] }

  /// The whole pickle.
  func finished() -> [UInt8] { output.bytes + [UInt8(ascii: ".")] }

  private mutating func opcode(_ letter: Unicode.Scalar) {
    output.bytes.append(UInt8(ascii: letter))
  }

  mutating func write(_ value: PickledValue) throws(Failure) {
    switch value {
    case .none: opcode("N")
    case .bool(let value): output.bytes.append(value ? 0x88 : 0x89)
    case .integer(let value): write(value)
    case .number(let value):
      opcode("G")
      output.append(value.bitPattern.byteSwapped)
    case .string(let text): write(text)
    case .bytes(let bytes):
      // Protocol 2 has no bytes of its own.
      global("_codecs", "encode")
      let text = String(String.UnicodeScalarView(bytes.map { Unicode.Scalar($0) }))
      try write(tuple: [.string(text), .string("latin1")])
      opcode("R")
    case .list(let values):
      opcode("]")
      opcode("(")
      for value in values { try write(value) }
      opcode("e")
    case .tuple(let values): try write(tuple: values)
    case .set(let values):
      global("__builtin__", "set")
      try write(tuple: [.list(values)])
      opcode("R")
    case .dictionary(let members):
      opcode("}")
      opcode("(")
      for member in members {
        switch member.key {
        case .string(let text): write(text)
        case .integer(let number): write(number)
        }
        try write(member.value)
      }
      opcode("u")
    case .tensor(let tensor): try write(tensor)
    }
  }

  private mutating func write(_ value: Int64) {
    if let byte = UInt8(exactly: value) {
      opcode("K")
      output.append(byte)
    } else if let short = Int32(exactly: value) {
      opcode("J")
      output.append(short)
    } else {
      output.bytes += [0x8A, 8]
      output.append(value)
    }
  }

  private mutating func write(_ text: String) {
    opcode("X")
    output.append(UInt32(text.utf8.count))
    output.bytes += Array(text.utf8)
  }

  private mutating func write(tuple values: [PickledValue]) throws(Failure) {
    opcode("(")
    for value in values { try write(value) }
    opcode("t")
  }

  private mutating func global(_ module: String, _ name: String) {
    opcode("c")
    output.bytes += Array("\(module)\n\(name)\n".utf8)
  }

  private mutating func write(_ tensor: PickledTensor) throws(Failure) {
    guard let storage = PickleGlobal.storageName(tensor.storage.type) else {
      throw .unpicklable(tensor.storage.type)
    }
    let number = numbers[tensor.storage] ?? storages.count
    if number == storages.count {
      numbers[tensor.storage] = number
      storages.append(tensor.storage)
    }
    global("torch._utils", "_rebuild_tensor_v2")
    opcode("(")
    opcode("(")
    write("storage")
    global("torch", storage)
    write(String(number))
    write("cpu")
    write(Int64(tensor.storage.count))
    opcode("t")
    opcode("Q")
    write(Int64(tensor.offset))
    try write(tuple: tensor.shape.map { .integer(Int64($0)) })
    try write(tuple: tensor.strides.map { .integer(Int64($0)) })
    try write(.bool(false))
    global("collections", "OrderedDict")
    opcode(")")
    opcode("R")
    opcode("t")
    opcode("R")
  }
}
