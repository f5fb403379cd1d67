import Base
public import Safetensors

/// A file that torch.save wrote (`.pt`, `.pth`, `.ckpt`), mapped into memory.
///
/// Nothing in it is executed: the pickle is read by an interpreter that knows plain values and tensors
/// alone (`PickleMachine`). Places and sizes are checked when it is opened; elements are read, and
/// compared with their checksum, when a tensor is asked for.
public final class TorchFile: Sendable {
  /// The file.
  public let path: String
  /// What it holds.
  public let content: PickledValue

  private let mapping: FileMapping
  private let entries: [String: ZipArchive.Entry]
  /// The storages whose checksums were compared.
  private let verified = Locked<Set<String>>([])

  /// No pickle is longer; those of large models take some hundred kilobytes.
  private static let pickleLimit = 64 << 20

  /// Opens a file and reads its values.
  ///
  /// - Throws: `noInput` when it cannot be opened; `badInput` when it is damaged, in the form before
  ///   PyTorch 1.6, a TorchScript program, or names a class or function that is not one of tensors and
  ///   dictionaries.
  public init(path: String) throws {
    self.path = path
    let mapping = try FileMapping(path: path)
    self.mapping = mapping
    do {
      let bytes = mapping.bytes
      guard bytes.starts(with: [0x50, 0x4B, 3, 4]) else {
        throw Self.isLegacy(bytes)
          ? Failure.legacyTorchFile(path) : .torchFile("it is no zip archive")
      }
      let archive = try ZipArchive(bytes)
      let pickles = archive.entries.keys.filter {
        $0.hasSuffix("/data.pkl") && $0.count(where: { $0 == "/" }) == 1
      }
      guard pickles.count == 1, let pickle = pickles.first, let entry = archive.entries[pickle]
      else { throw Failure.torchFile("an archive without a data.pkl") }
      let folder = pickle.dropLast(8)
      guard archive.entries[folder + "constants.pkl"] == nil else {
        throw Failure.torchScript(path)
      }
      if let packed = archive.entries.first(where: { !$0.value.isStored }) {
        throw Failure.compressedEntry(packed.key)
      }
      if let order = archive.entries[folder + "byteorder"],
        !bytes[order.content].elementsEqual("little".utf8)
      {
        throw Failure.torchFile("its numbers are big-endian")
      }
      guard entry.content.count <= Self.pickleLimit else {
        throw Failure.torchFile("its pickle is larger than \(Self.pickleLimit >> 20) MiB")
      }
      let prefix = folder + "data/"
      entries = Dictionary(
        uniqueKeysWithValues: archive.entries.filter { $0.key.hasPrefix(prefix) }.map {
          (String($0.key.dropFirst(prefix.count)), $0.value)
        })
      try Self.verify(entry, "data.pkl", bytes)
      content = try PickleMachine.value(
        of: UnsafeRawBufferPointer(rebasing: bytes[entry.content]),
        largestTensor: max(bytes.count, 16 << 20)
      ) { [entries] in entries[$0]?.content.count }
    } catch let failure as Failure {
      throw failure.about(path)
    }
  }

  /// Files before 1.6 begin with a pickle of a magic number, those before 0.1.2 with a tar header.
  private static func isLegacy(_ bytes: UnsafeRawBufferPointer) -> Bool {
    let magic: [UInt8] = [0x8A, 0x0A, 0x6C, 0xFC, 0x9C, 0x46, 0xF9, 0x20]
    return bytes.count > 265 && bytes[257..<262].elementsEqual("ustar".utf8)
      || bytes.count > 10 && bytes[0] == 0x80 && bytes[2..<10].elementsEqual(magic)
  }

  private static func verify(
    _ entry: ZipArchive.Entry, _ name: String, _ bytes: UnsafeRawBufferPointer
  ) throws {
    let sum = CRC32.of(UnsafeRawBufferPointer(rebasing: bytes[entry.content]))
    guard entry.checksum == 0 || entry.checksum == sum else {
      throw Failure.torchFile("the content of '\(name)' is not what was written")
    }
  }

  /// The bytes of a storage, valid while the file lives.
  private func bytes(_ storage: PickledStorage) throws -> UnsafeRawBufferPointer {
    guard let entry = entries[storage.key] else {
      throw Failure.torchFile("its storage '\(storage.key)' is missing", path: path)
    }
    if !verified.withLock({ $0.contains(storage.key) }) {
      do { try Self.verify(entry, "data/\(storage.key)", mapping.bytes) } catch let failure
        as Failure
      {
        throw failure.about(path)
      }
      verified.withLock { _ = $0.insert(storage.key) }
    }
    return UnsafeRawBufferPointer(rebasing: mapping.bytes[entry.content])
  }

  /// The bytes of a tensor as they are in the file, of any alignment, valid while the file lives; nil
  /// unless its elements stand row by row there.
  ///
  /// - Throws: `badInput` when they are not what was written.
  public func bytes(of tensor: PickledTensor) throws -> UnsafeRawBufferPointer? {
    guard tensor.isContiguous else { return nil }
    let size = tensor.storage.type.size
    let all = try bytes(tensor.storage)
    let begin = tensor.offset * size
    return UnsafeRawBufferPointer(rebasing: all[begin..<begin + tensor.count * size])
  }

  /// The elements of a tensor, row by row.
  ///
  /// - Throws: `badInput` when they are not what was written.
  public func array(_ tensor: PickledTensor) throws -> ArrayData {
    let type = tensor.storage.type
    if let bytes = try bytes(of: tensor) {
      return try ArrayData(type: type, shape: tensor.shape, bytes: Array(bytes))
    }
    let all = try bytes(tensor.storage)
    let bytes =
      switch type.size {
      case 8: gathered(UInt64.self, tensor, of: all)
      case 4: gathered(UInt32.self, tensor, of: all)
      case 2: gathered(UInt16.self, tensor, of: all)
      default: gathered(UInt8.self, tensor, of: all)
      }
    return try ArrayData(type: type, shape: tensor.shape, bytes: bytes)
  }

  /// Elements in the order of the tensor, whatever their order in the storage.
  private func gathered<Element: BitwiseCopyable>(
    _: Element.Type, _ tensor: PickledTensor, of bytes: UnsafeRawBufferPointer
  ) -> [UInt8] {
    let size = MemoryLayout<Element>.size
    var index = [Int](repeating: 0, count: tensor.shape.count)
    var place = tensor.offset
    return [UInt8](unsafeUninitializedCapacity: tensor.count * size) { buffer, filled in
      let target = UnsafeMutableRawBufferPointer(buffer)
      for number in 0..<tensor.count {
        target.storeBytes(
          of: bytes.loadUnaligned(fromByteOffset: place * size, as: Element.self),
          toByteOffset: number * size, as: Element.self)
        for axis in tensor.shape.indices.reversed() {
          index[axis] += 1
          place += tensor.strides[axis]
          if index[axis] < tensor.shape[axis] { break }
          place -= index[axis] * tensor.strides[axis]
          index[axis] = 0
        }
      }
      filled = tensor.count * size
    }
  }
}
