import Base
import Safetensors

/// Reads a pickle (protocols 2 to 5) of plain values and tensors, and executes nothing: of all globals it
/// knows the few that torch.save writes for these, and refuses every other one by name.
struct PickleMachine {
  /// A value on the stack. Containers stay where they are while they grow, since a pickle names them
  /// again.
  enum Item {
    case none
    case bool(Bool)
    case integer(Int64)
    case number(Double)
    case string(String)
    case bytes([UInt8])
    case container(Int)
    case tensor(PickledTensor)
    case storage(PickledStorage)
    case global(PickleGlobal)
  }

  struct Container {
    enum Kind { case list, tuple, set, dictionary }
    var kind: Kind
    /// Of a dictionary: keys and values in turn.
    var items: [Item] = []
  }

  private let bytes: UnsafeRawBufferPointer
  private var place = 0
  private var stack: [Item] = []
  private var marks: [Int] = []
  private var memo: [Int: Item] = [:]
  private(set) var containers: [Container] = []
  /// The number of bytes stored under a key; nil where there is no such storage.
  private let storedBytes: (String) -> Int?
  /// No tensor takes more bytes.
  private let largestTensor: Int

  private init(
    _ bytes: UnsafeRawBufferPointer, largestTensor: Int, storedBytes: @escaping (String) -> Int?
  ) {
    self.bytes = bytes
    self.largestTensor = largestTensor
    self.storedBytes = storedBytes
  }

  /// The value of a pickle.
  ///
  /// - Throws: `badInput`, without a subject.
  static func value(
    of bytes: UnsafeRawBufferPointer, largestTensor: Int, storedBytes: @escaping (String) -> Int?
  ) throws(Failure) -> PickledValue {
    var machine = PickleMachine(bytes, largestTensor: largestTensor, storedBytes: storedBytes)
    let root = try machine.run()
    var resolution = PickleResolution(machine.containers, limit: (1 << 16) + 4 * bytes.count)
    return try resolution.value(of: root)
  }

  // MARK: Bytes and stack

  private func damaged() -> Failure { .torchFile("its pickle is damaged at byte \(place)") }

  private mutating func take(_ count: Int) throws(Failure) -> UnsafeRawBufferPointer {
    guard count >= 0, count <= bytes.count - place else { throw damaged() }
    defer { place += count }
    return UnsafeRawBufferPointer(rebasing: bytes[place..<place + count])
  }

  private mutating func number<Value: FixedWidthInteger & BitwiseCopyable>(
    _: Value.Type
  ) throws(Failure) -> Value {
    Value(littleEndian: try take(MemoryLayout<Value>.size).loadUnaligned(as: Value.self))
  }

  /// A length field; what does not fit is refused as it is used.
  private mutating func length<Value: FixedWidthInteger & BitwiseCopyable>(
    _ type: Value.Type
  ) throws(Failure) -> Int {
    guard let value = Int(exactly: try number(type)) else { throw damaged() }
    return value
  }

  private mutating func text(_ count: Int) throws(Failure) -> String {
    guard let text = String(validating: try take(count), as: UTF8.self) else { throw damaged() }
    return text
  }

  private mutating func line() throws(Failure) -> String {
    guard let end = bytes[place...].firstIndex(of: 10) else { throw damaged() }
    let text = try text(end - place)
    place += 1
    return text
  }

  private mutating func pop() throws(Failure) -> Item {
    guard stack.count > (marks.last ?? 0), let item = stack.popLast() else { throw damaged() }
    return item
  }

  private mutating func popToMark() throws(Failure) -> [Item] {
    guard let mark = marks.popLast(), mark <= stack.count else { throw damaged() }
    defer { stack.removeSubrange(mark...) }
    return Array(stack[mark...])
  }

  /// The container below what was popped, which it goes into.
  private func target(_ kinds: Container.Kind...) throws(Failure) -> Int {
    guard stack.count > (marks.last ?? 0), case .container(let index)? = stack.last,
      kinds.contains(containers[index].kind)
    else { throw damaged() }
    return index
  }

  private mutating func push(_ kind: Container.Kind, _ items: [Item] = []) {
    containers.append(Container(kind: kind, items: items))
    stack.append(.container(containers.count - 1))
  }

  private mutating func popTuple(_ count: Int) throws(Failure) {
    var items: [Item] = []
    for _ in 0..<count { items.append(try pop()) }
    push(.tuple, items.reversed())
  }

  // MARK: Opcodes

  private mutating func run() throws(Failure) -> Item {
    while true {
      let opcode = try number(UInt8.self)
      if opcode == UInt8(ascii: ".") { return try pop() }
      if try scalar(opcode) { continue }
      if try container(opcode) { continue }
      if try remember(opcode) { continue }
      if try object(opcode) { continue }
      throw .unsupportedPickle(
        "its pickle has the instruction 0x\([opcode].hexadecimal) at byte \(place - 1), which "
          + "plain values do not need")
    }
  }

  private mutating func scalar(_ opcode: UInt8) throws(Failure) -> Bool {
    switch opcode {
    case 0x80:
      let version = try number(UInt8.self)
      guard (2...5).contains(version) else {
        throw .unsupportedPickle("its pickle has the protocol \(version)")
      }
    case 0x95: _ = try number(UInt64.self)  // A frame: its length is only a hint.
    case UInt8(ascii: "N"): stack.append(.none)
    case 0x88: stack.append(.bool(true))
    case 0x89: stack.append(.bool(false))
    case UInt8(ascii: "J"): stack.append(.integer(Int64(try number(Int32.self))))
    case UInt8(ascii: "K"): stack.append(.integer(Int64(try number(UInt8.self))))
    case UInt8(ascii: "M"): stack.append(.integer(Int64(try number(UInt16.self))))
    case 0x8A: stack.append(.integer(try long(try length(UInt8.self))))
    case 0x8B: stack.append(.integer(try long(try length(Int32.self))))
    case UInt8(ascii: "G"):
      let bits = try number(UInt64.self).byteSwapped
      stack.append(.number(Double(bitPattern: bits)))
    case UInt8(ascii: "X"): stack.append(.string(try text(try length(UInt32.self))))
    case 0x8C: stack.append(.string(try text(try length(UInt8.self))))
    case 0x8D: stack.append(.string(try text(try length(UInt64.self))))
    case UInt8(ascii: "B"): stack.append(.bytes(Array(try take(try length(UInt32.self)))))
    case UInt8(ascii: "C"): stack.append(.bytes(Array(try take(try length(UInt8.self)))))
    case 0x8E: stack.append(.bytes(Array(try take(try length(UInt64.self)))))
    default: return false
    }
    return true
  }

  /// A number of any length in two's complement, as long as it fits 64 bits.
  private mutating func long(_ count: Int) throws(Failure) -> Int64 {
    let digits = try take(count)
    let isNegative = digits.last.map { $0 & 0x80 != 0 } ?? false
    let filler: UInt8 = isNegative ? 0xFF : 0
    let value = Int64(
      bitPattern: (0..<8).reduce(0) { sum, index in
        sum | UInt64(index < digits.count ? digits[index] : filler) << UInt64(8 * index)
      })
    guard digits.dropFirst(8).allSatisfy({ $0 == filler }), (value < 0) == isNegative else {
      throw .unsupportedPickle("its pickle has a whole number of more than 64 bits")
    }
    return value
  }

  private mutating func container(_ opcode: UInt8) throws(Failure) -> Bool {
    switch opcode {
    case UInt8(ascii: "("): marks.append(stack.count)
    case UInt8(ascii: "]"): push(.list)
    case UInt8(ascii: ")"): push(.tuple)
    case UInt8(ascii: "}"): push(.dictionary)
    case 0x8F: push(.set)
    case UInt8(ascii: "l"): push(.list, try popToMark())
    case UInt8(ascii: "t"): push(.tuple, try popToMark())
    case 0x91: push(.set, try popToMark())
    case 0x85: try popTuple(1)
    case 0x86: try popTuple(2)
    case 0x87: try popTuple(3)
    case UInt8(ascii: "d"):
      let items = try popToMark()
      guard items.count.isMultiple(of: 2) else { throw damaged() }
      push(.dictionary, items)
    case UInt8(ascii: "a"):
      let item = try pop()
      containers[try target(.list)].items.append(item)
    case UInt8(ascii: "e"):
      let items = try popToMark()
      containers[try target(.list)].items += items
    case 0x90:
      let items = try popToMark()
      containers[try target(.set)].items += items
    case UInt8(ascii: "s"):
      let (value, key) = (try pop(), try pop())
      containers[try target(.dictionary)].items += [key, value]
    case UInt8(ascii: "u"):
      let items = try popToMark()
      guard items.count.isMultiple(of: 2) else { throw damaged() }
      containers[try target(.dictionary)].items += items
    default: return false
    }
    return true
  }

  private mutating func remember(_ opcode: UInt8) throws(Failure) -> Bool {
    switch opcode {
    case UInt8(ascii: "0"): _ = try pop()
    case UInt8(ascii: "1"): _ = try popToMark()
    case UInt8(ascii: "2"):
      let item = try pop()
      stack += [item, item]
    case UInt8(ascii: "q"): try memorize(try length(UInt8.self))
    case UInt8(ascii: "r"): try memorize(try length(UInt32.self))
    case 0x94: try memorize(memo.count)
    case UInt8(ascii: "h"): try recall(try length(UInt8.self))
    case UInt8(ascii: "j"): try recall(try length(UInt32.self))
    default: return false
    }
    return true
  }

  private mutating func memorize(_ index: Int) throws(Failure) {
    guard let item = stack.last else { throw damaged() }
    memo[index] = item
  }

  private mutating func recall(_ index: Int) throws(Failure) {
    guard let item = memo[index] else { throw damaged() }
    stack.append(item)
  }

  // MARK: Globals

  private mutating func object(_ opcode: UInt8) throws(Failure) -> Bool {
    switch opcode {
    case UInt8(ascii: "c"):
      let module = try line()
      stack.append(.global(try PickleGlobal(module: module, name: try line())))
    case 0x93:
      guard case .string(let name) = try pop(), case .string(let module) = try pop() else {
        throw damaged()
      }
      stack.append(.global(try PickleGlobal(module: module, name: name)))
    case UInt8(ascii: "R"):
      let arguments = try items(of: try pop(), .tuple)
      guard case .global(let global) = try pop() else { throw damaged() }
      try call(global, arguments)
    case UInt8(ascii: "b"):
      // What PyTorch sets on the dictionaries of modules are versions of their layout.
      _ = try pop()
      _ = try target(.dictionary)
    case UInt8(ascii: "Q"): stack.append(.storage(try storage(try items(of: try pop(), .tuple))))
    default: return false
    }
    return true
  }

  private func items(of item: Item, _ kinds: Container.Kind...) throws(Failure) -> [Item] {
    guard case .container(let index) = item, kinds.contains(containers[index].kind) else {
      throw damaged()
    }
    return containers[index].items
  }

  private mutating func call(_ global: PickleGlobal, _ arguments: [Item]) throws(Failure) {
    switch global {
    case .orderedDictionary where arguments.isEmpty: push(.dictionary)
    case .set where arguments.isEmpty: push(.set)
    case .set where arguments.count == 1:
      push(.set, try items(of: arguments[0], .list, .tuple, .set))
    case .size where arguments.count == 1: push(.tuple, try items(of: arguments[0], .tuple, .list))
    case .encode where arguments.count == 2:
      guard case .string(let text) = arguments[0], case .string("latin1") = arguments[1],
        text.unicodeScalars.allSatisfy({ $0.value < 256 })
      else { throw damaged() }
      stack.append(.bytes(text.unicodeScalars.map { UInt8($0.value) }))
    case .rebuildTensor where arguments.count >= 4:
      stack.append(.tensor(try tensor(arguments)))
    case .rebuildParameter where !arguments.isEmpty:
      guard case .tensor = arguments[0] else { throw damaged() }
      stack.append(arguments[0])
    default: throw damaged()
    }
  }

  private func storage(_ id: [Item]) throws(Failure) -> PickledStorage {
    guard id.count == 5, case .string("storage") = id[0], case .global(.storage(let type)) = id[1],
      case .string(let key) = id[2], case .string = id[3], case .integer(let claimed) = id[4],
      let count = Int(exactly: claimed)
    else { throw damaged() }
    guard let stored = storedBytes(key) else { throw .torchFile("its storage '\(key)' is missing") }
    guard type.byteCount(shape: [count]) == stored else {
      throw .torchFile("its storage '\(key)' has \(stored) bytes, which are not \(count) elements")
    }
    return PickledStorage(key: key, type: type, count: count)
  }

  private func tensor(_ arguments: [Item]) throws(Failure) -> PickledTensor {
    guard case .storage(let storage) = arguments[0], case .integer(let offset) = arguments[1] else {
      throw damaged()
    }
    let shape = try integers(try items(of: arguments[2], .tuple))
    let strides = try integers(try items(of: arguments[3], .tuple))
    guard let start = Int(exactly: offset),
      let tensor = PickledTensor(storage, offset: start, shape: shape, strides: strides)
    else {
      throw .torchFile("a tensor of shape \(shape) reaches past its storage '\(storage.key)'")
    }
    // An expanded tensor repeats elements of its storage, and may claim any size.
    guard tensor.count <= max(storage.count, largestTensor / storage.type.size) else {
      throw .torchFile("a tensor of shape \(shape) is larger than the whole file")
    }
    return tensor
  }

  private func integers(_ items: [Item]) throws(Failure) -> [Int] {
    var values: [Int] = []
    for item in items {
      guard case .integer(let value) = item, let value = Int(exactly: value) else {
        throw damaged()
      }
      values.append(value)
    }
    return values
  }
}
