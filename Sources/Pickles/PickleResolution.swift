import Base

/// Makes a tree of the containers of a pickle, which may name each other any number of times, and
/// themselves.
struct PickleResolution {
  private let containers: [PickleMachine.Container]
  /// Values that may still be made: a few containers that name each other twice would else become any
  /// number of values.
  private var left: Int

  private static let depth = 64

  init(_ containers: [PickleMachine.Container], limit: Int) {
    self.containers = containers
    left = limit
  }

  /// - Throws: `badInput` where it is nested too deeply or too large.
  mutating func value(of item: PickleMachine.Item, depth: Int = 0) throws(Failure) -> PickledValue {
    left -= 1
    guard left >= 0 else {
      throw .unsupportedPickle("its values repeat each other too often")
    }
    switch item {
    case .none: return .none
    case .bool(let value): return .bool(value)
    case .integer(let value): return .integer(value)
    case .number(let value): return .number(value)
    case .string(let value): return .string(value)
    case .bytes(let value): return .bytes(value)
    case .tensor(let tensor): return .tensor(tensor)
    case .storage: throw .unsupportedPickle("it holds a storage without a tensor")
    case .global: throw .unsupportedPickle("it holds a class as a value")
    case .container(let index):
      guard depth < Self.depth else {
        throw .unsupportedPickle("its values are nested deeper than \(Self.depth) levels")
      }
      return try value(of: containers[index], depth: depth + 1)
    }
  }

  private mutating func value(
    of container: PickleMachine.Container, depth: Int
  ) throws(Failure) -> PickledValue {
    if container.kind == .dictionary { return try dictionary(container.items, depth: depth) }
    var values: [PickledValue] = []
    for item in container.items { values.append(try value(of: item, depth: depth)) }
    switch container.kind {
    case .tuple: return .tuple(values)
    case .set: return .set(values)
    case .list, .dictionary: return .list(values)
    }
  }

  /// Of a key given twice the last value counts, at its first place, as in Python.
  private mutating func dictionary(
    _ items: [PickleMachine.Item], depth: Int
  ) throws(Failure) -> PickledValue {
    var members: [PickledMember] = []
    var places: [PickledKey: Int] = [:]
    for index in stride(from: 0, to: items.count, by: 2) {
      let key: PickledKey
      switch items[index] {
      case .string(let text): key = .string(text)
      case .integer(let number): key = .integer(number)
      default:
        throw .unsupportedPickle("a key of a dictionary is neither a text nor a whole number")
      }
      let member = PickledMember(key, try value(of: items[index + 1], depth: depth))
      if let place = places[key] {
        members[place] = member
      } else {
        places[key] = members.count
        members.append(member)
      }
    }
    return .dictionary(members)
  }
}
