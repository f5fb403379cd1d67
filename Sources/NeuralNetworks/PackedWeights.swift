import Base
import Glibc
import Safetensors
public import Tensors

/// The packed matrices of a file of weights, in a file beside it: mapped as stored, so that a model is
/// there at once and processes share its memory.
///
/// It names the size and the time of the weights that it was made of, and counts for nothing when they
/// are others. It can be deleted at any time.
public final class PackedWeights: Sendable {
  /// The file of packed matrices.
  public let path: String
  /// How most of them are stored.
  let format: WeightFormat
  /// What the file must say of itself.
  private let stamp: [String: String]
  private let file: SafetensorsFile?
  /// The matrices that were asked for, from the file or packed now.
  private let matrices = Locked<[String: PackedMatrix]>([:])
  private let isWhole = Locked(true)

  /// Opens the packed file of some weights where there is one.
  ///
  /// - Parameters:
  ///   - weights: the path of the weights.
  ///   - part: which part of them this is; it becomes a part of the name.
  public init(of weights: String, part: String, format: WeightFormat) throws {
    self.format = format
    let stem = weights.hasSuffix(".safetensors") ? String(weights.dropLast(12)) : weights
    path = "\(stem).\(part)-\(format.rawValue).packed"
    var status = stat()
    guard stat(weights, &status) == 0 else {
      throw Failure.systemCall("read", weights, code: errno)
    }
    stamp = [
      "format": "ttstools packed weights 3",
      "weights": "\(status.st_size) \(status.st_mtim.tv_sec).\(status.st_mtim.tv_nsec)",
    ]
    // What cannot be read, or is of other weights, is made anew.
    let found = fileExists(path) ? try? SafetensorsFile(path: path) : nil
    file = found?.metadata == stamp ? found : nil
  }

  /// A matrix of the file, or one that is packed now.
  func matrix(
    _ key: String, outputs: Int, inputs: Int, format: WeightFormat, of tensor: () throws -> Tensor
  ) rethrows -> PackedMatrix {
    let stored = storedMatrix(key, outputs: outputs, inputs: inputs, format: format)
    if stored == nil { isWhole.withLock { $0 = false } }
    let matrix = try stored ?? PackedMatrix(packing: tensor(), format)
    matrices.withLock { $0[key] = matrix }
    return matrix
  }

  private func storedMatrix(
    _ key: String, outputs: Int, inputs: Int, format: WeightFormat
  ) -> PackedMatrix? {
    guard let file, file.type(of: key) == Self.type(of: format) else {
      return nil
    }
    return PackedMatrix(
      rows: outputs, columns: inputs, format: format, panels: file.bytes(key),
      scales: file.bytes(key + ".scales"), owner: file)
  }

  private static func type(of format: WeightFormat) -> ElementType {
    switch format {
    case .float32: .f32
    case .bfloat16: .bf16
    case .int8: .i8
    }
  }

  /// Whether all that was asked for came from the file.
  var isComplete: Bool { isWhole.withLock { $0 } }

  // MARK: Writing

  /// Writes the file unless it is there.
  ///
  /// - Throws: `cannotCreate`, `inputOutput`.
  public func write() throws {
    guard !isComplete else { return }
    var arrays: [StoredArray] = []
    let matrices = matrices.withLock { $0 }
    for (key, matrix) in matrices {
      let (panels, scales) = matrix.stored
      arrays.append(
        StoredArray(key, Self.type(of: matrix.format), shape: matrix.storedShape, panels))
      if let scales {
        arrays.append(StoredArray(key + ".scales", .f32, shape: [scales.count / 4], scales))
      }
    }
    let file = try AtomicFile(path: path)
    try withExtendedLifetime(matrices) {
      // Kernels read faster from the start of a cache line.
      try writeSafetensors(arrays, metadata: stamp, alignment: 64) { try file.write($0) }
    }
    try file.commit()
    isWhole.withLock { $0 = true }
  }

  /// Writes the file for the next time, where that saves much, is allowed and nobody else is at it.
  public func keep() {
    let size = matrices.withLock { $0.values.reduce(0) { $0 + $1.stored.panels.count } }
    guard size >= Self.worthwhile, !isComplete else { return }
    let lock = open(path + ".lock", O_WRONLY | O_CREAT | O_CLOEXEC, 0o666)
    guard lock >= 0 else { return }
    defer { close(lock) }
    guard flock(lock, LOCK_EX | LOCK_NB) == 0 else { return }
    defer { unlink(path + ".lock") }
    // Without it the model is as good.
    do { try write() } catch {}
  }

  /// What is packed within a moment is not kept.
  private static let worthwhile = 16 << 20
}
