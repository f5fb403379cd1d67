import Base
import Safetensors

/// The globals that torch.save writes for dictionaries of tensors.
enum PickleGlobal: Equatable {
  case orderedDictionary
  case set
  case size
  case rebuildTensor
  case rebuildParameter
  /// What makes bytes of a text before protocol 3.
  case encode
  /// The class of storages with elements of this type.
  case storage(ElementType)

  /// Classes of storages, in the module `torch`.
  private static let storages: [String: ElementType] = [
    "FloatStorage": .f32, "DoubleStorage": .f64, "HalfStorage": .f16, "BFloat16Storage": .bf16,
    "LongStorage": .i64, "IntStorage": .i32, "ShortStorage": .i16, "CharStorage": .i8,
    "ByteStorage": .u8, "BoolStorage": .bool,
  ]

  /// - Throws: `badInput`, naming it, for any other.
  init(module: String, name: String) throws(Failure) {
    switch (module, name) {
    case ("collections", "OrderedDict"): self = .orderedDictionary
    case ("builtins", "set"), ("__builtin__", "set"): self = .set
    case ("torch", "Size"): self = .size
    case ("torch._utils", "_rebuild_tensor_v2"): self = .rebuildTensor
    case ("torch._utils", "_rebuild_parameter"): self = .rebuildParameter
    case ("_codecs", "encode"): self = .encode
    case ("torch", _):
      guard let type = Self.storages[name] else { throw .refusedGlobal("\(module).\(name)") }
      self = .storage(type)
    default: throw .refusedGlobal("\(module).\(name)")
    }
  }

  /// The name of the class of storages of a type; nil where there is none.
  static func storageName(_ type: ElementType) -> String? {
    storages.first { $0.value == type }?.key
  }
}
