public import Records
import Safetensors

extension Record {
  /// Bytes that the record's arrays take in memory, and something for the rest.
  public var byteCount: Int { arrays.values.reduce(1024) { $0 + $1.bytes.count } }
}
