import Base
import CKernels

/// How packed weights are stored. The other factor is rounded to bfloat16 when it is multiplied with
/// bfloat16, and to integers of 16 bits with bytes.
public enum WeightFormat: String, Sendable, Hashable, CaseIterable {
  /// As they are.
  case float32 = "f32"
  /// Rounded to bfloat16.
  case bfloat16 = "bf16"
  /// Bytes, with one scale for each output.
  case int8 = "int8"

  var code: Int32 {
    switch self {
    case .float32: Int32(CK_F32)
    case .bfloat16: Int32(CK_BF16)
    case .int8: Int32(CK_INT8)
    }
  }

  /// Bytes of a panel for `inputs` inputs.
  func panelBytes(_ inputs: Int) -> Int { ck_panel_bytes(code, inputs) }
}

/// Weights `[outputs, inputs]` in the layout that the product kernels read: panels of 32 outputs.
public struct PackedMatrix: Sendable {
  /// Outputs.
  public let rows: Int
  /// Inputs.
  public let columns: Int
  /// How the weights are stored.
  public let format: WeightFormat
  let panels: Storage
  /// Of each panel one a column, then the sums of its columns' bytes; nil where weights need none.
  let scales: Storage?

  /// Packs weights `[outputs, inputs]`, as PyTorch stores them.
  public init(_ weights: Tensor, format: WeightFormat = .float32) {
    precondition(weights.shape.count == 2, "a matrix has two dimensions")
    self.init(
      weights.pointer, outputStride: weights.columns, inputStride: 1, rows: weights.rows,
      columns: weights.columns, format: format)
  }

  /// Packs weights of which (output, input) is at output · outputStride + input · inputStride.
  init(
    _ weights: UnsafePointer<Float>, outputStride: Int, inputStride: Int, rows: Int, columns: Int,
    format: WeightFormat = .float32
  ) {
    self.rows = rows
    self.columns = columns
    self.format = format
    let count = ck_panel_count(rows)
    let size = Int(CK_PANEL) * columns
    let panelBytes = format.panelBytes(columns)
    let panels = Storage(count: (count * panelBytes + 3) / 4)
    let scales = format == .int8 ? Storage(count: 2 * count * Int(CK_PANEL)) : nil
    let source = SharedPointer(UnsafeMutablePointer(mutating: weights))
    // Some panels a task, so that starting it is cheap beside it.
    let group = max(1, (1 << 16) / max(1, size))
    ThreadBudget.forEach((count + group - 1) / group) { task in
      let range = task * group..<min(count, (task + 1) * group)
      if format == .float32 {
        ck_pack_panels(
          source.base, outputStride, inputStride, range.lowerBound, range.count, rows, columns,
          panels.floats)
        return
      }
      withUnsafeTemporaryAllocation(of: Float.self, capacity: size) { room in
        guard let floats = room.baseAddress else { return }
        for panel in range {
          ck_pack_panels(
            source.base + panel * Int(CK_PANEL) * outputStride, outputStride, inputStride, 0, 1,
            min(Int(CK_PANEL), rows - panel * Int(CK_PANEL)), columns, floats)
          let target = UnsafeMutableRawPointer(panels.floats) + panel * panelBytes
          if let scales {
            ck_panel_to_int8(
              floats, columns, target.assumingMemoryBound(to: Int8.self),
              scales.floats + 2 * panel * Int(CK_PANEL))
          } else {
            ck_panel_to_bf16(floats, columns, target.assumingMemoryBound(to: UInt32.self))
          }
        }
      }
    }
    self.panels = panels
    self.scales = scales
  }
}

extension PackedMatrix {
  /// Floats that lie in panels already.
  init(rows: Int, columns: Int, panels: Storage) {
    self.rows = rows
    self.columns = columns
    format = .float32
    self.panels = panels
    scales = nil
  }

  /// Weights that were packed before, in the memory of their owner.
  ///
  /// - Parameters:
  ///   - panels: what ``stored`` gave.
  /// - Returns: nil when the bytes are not as many as they must be, or cannot be read in place.
  public init?(
    rows: Int, columns: Int, format: WeightFormat, panels: UnsafeRawBufferPointer?,
    scales: UnsafeRawBufferPointer?, owner: AnyObject
  ) {
    let count = 2 * ck_panel_count(rows) * Int(CK_PANEL)
    guard let panels, panels.count == ck_panel_count(rows) * format.panelBytes(columns),
      panels.count % 4 == 0,
      (scales?.count ?? 0) == (format == .int8 ? 4 * count : 0),
      let floats = Self.floats(panels)
    else { return nil }
    self.rows = rows
    self.columns = columns
    self.format = format
    self.panels = Storage(borrowing: floats, count: panels.count / 4, owner: owner)
    self.scales = scales.flatMap(Self.floats).map {
      Storage(borrowing: $0, count: count, owner: owner)
    }
  }

  private static func floats(_ bytes: UnsafeRawBufferPointer) -> UnsafePointer<Float>? {
    guard let base = bytes.baseAddress, UInt(bitPattern: base).isMultiple(of: 4) else { return nil }
    return base.assumingMemoryBound(to: Float.self)
  }

  /// The panels, and the scales where the format has some; valid while the matrix lives.
  public var stored: (panels: UnsafeRawBufferPointer, scales: UnsafeRawBufferPointer?) {
    let size = ck_panel_count(rows) * format.panelBytes(columns)
    return (
      UnsafeRawBufferPointer(start: panels.floats, count: size),
      scales.map { UnsafeRawBufferPointer(start: $0.floats, count: 4 * $0.count) }
    )
  }

  /// The dimensions of the panels: `[panels, inputs, outputs of a panel]`; of bfloat16
  /// `[panels, pairs of inputs, outputs of a panel, 2]`, of bytes the same with fours.
  public var storedShape: [Int] {
    let (panels, width) = (ck_panel_count(rows), Int(CK_PANEL))
    switch format {
    case .float32: return [panels, columns, width]
    case .bfloat16: return [panels, (columns + 1) / 2, width, 2]
    case .int8: return [panels, (columns + 3) / 4, width, 4]
    }
  }
}

extension Tensor {
  /// The product with packed weights, with an optional bias `[outputs]`: `[..., inputs]` to
  /// `[..., outputs]`. Not recorded: packed weights do not train.
  public func product(_ weights: PackedMatrix, bias: Tensor? = nil) -> Tensor {
    precondition(
      columns == weights.columns, "cannot multiply \(shape) by \(weights.columns) inputs")
    precondition(node == nil && tangentBox == nil, "packed weights are not differentiated")
    return Tensor(shape: shape.dropLast() + [weights.rows]) { target in
      Products.product(
        pointer, rowStride: columns, rows: rows, weights, bias: bias?.pointer, target)
    }
  }
}
