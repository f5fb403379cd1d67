public import Base
import Foundation
import Glibc
import NeuralNetworks
import Safetensors
public import Tensors

/// All that changes while a run goes on; what is random follows from the step.
public struct TrainingState: Sendable {
  /// Optimiser steps made.
  public var step: Int
  /// What trains.
  public var parameters: ParameterSet
  /// The optimiser of each group of parameters.
  public var optimizers: [Optimizer]
  /// The running average of the parameters; nil when none is kept.
  public var average: ParameterSet?
  /// What does not train but may change.
  public var buffers: [String: Tensor]

  /// The weights that a run hands out: the running average where one is kept.
  public var weights: ParameterSet { average ?? parameters }
}

/// The checkpoints of a run: `checkpoints/00000100.safetensors` with the tensors and
/// `checkpoints/00000100.json` with the rest and the digest of the other, written last. A checkpoint
/// counts only when both are there and agree.
public struct Checkpoints: Sendable {
  /// The folder.
  public let folder: String
  /// How many are kept.
  public let kept: Int

  /// The checkpoints in a folder, which is created with the first one.
  public init(folder: String, kept: Int) {
    self.folder = folder
    self.kept = kept
  }

  private func path(_ step: Int, _ suffix: String) -> String {
    "\(folder)/\(padded(step, to: 8))\(suffix)"
  }

  /// The steps of which a description is there, newest first; they are not verified.
  public func steps() -> [Int] {
    let names = (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []
    return names.filter { $0.hasSuffix(".json") && !$0.hasPrefix(".") }
      .compactMap { Int($0.dropLast(5)) }.sorted(by: >)
  }

  /// Writes a checkpoint, then removes those beyond the number kept. Where writing fails the
  /// earlier ones stay.
  public func write(_ state: TrainingState) throws {
    guard mkdir(folder, 0o777) == 0 || errno == EEXIST else {
      throw Failure.systemCall("create", folder, writing: true, code: errno)
    }
    var tensors: [(name: String, tensor: Tensor)] = []
    func add(_ prefix: String, _ set: ParameterSet) {
      for (name, tensor) in zip(set.names, set.values) { tensors.append((prefix + name, tensor)) }
    }
    add("parameter.", state.parameters)
    for optimizer in state.optimizers {
      add("first.", optimizer.adamW.first)
      add("second.", optimizer.adamW.second)
      if let muon = optimizer.muon { add("momentum.", muon.momentum) }
    }
    if let average = state.average { add("average.", average) }
    add("buffer.", ParameterSet(state.buffers))
    let digest = try writeTensors(tensors, to: path(state.step, ".safetensors"))
    let steps = Dictionary(
      uniqueKeysWithValues: state.optimizers.flatMap { zip($0.adamW.first.names, $0.adamW.steps) })
    var description: [String: JSON] = [
      "format": "ttstools checkpoint", "version": 1, "step": .integer(Int64(state.step)),
      "sha256": .string(digest.description),
      "optimizer_steps": .object(steps.mapValues { .integer(Int64($0)) }),
    ]
    // Where there is one group alone its optimiser counts the steps of the run.
    if state.optimizers.count > 1 {
      description["group_steps"] = .array(state.optimizers.map { .integer(Int64($0.steps)) })
    }
    try AtomicFile.write(
      JSON.object(description).canonicalBytes + [10], to: path(state.step, ".json"))
    for step in self.steps().dropFirst(kept) {
      // The description goes first: what it describes is nothing without it.
      unlink(path(step, ".json"))
      unlink(path(step, ".safetensors"))
    }
  }

  /// The newest checkpoint that verifies.
  ///
  /// - Parameters:
  ///   - like: a state of the same run, for names and shapes.
  ///   - onDamaged: called with the failure of each checkpoint that does not verify.
  /// - Returns: nil when there is no checkpoint at all.
  /// - Throws: when there are some, but none can be used: `badInput` for damage, `configuration` for those
  ///   of another model.
  public func newest(
    like state: TrainingState, onDamaged: (Failure) -> Void
  ) throws -> TrainingState? {
    removeLeftovers(in: folder)
    removeUndescribed()
    var last: Failure?
    for step in steps() {
      do {
        return try read(step, like: state)
      } catch let failure as Failure {
        onDamaged(failure)
        last = failure
      }
    }
    if let last { throw Failure.noWholeCheckpoint(folder, last: last) }
    return nil
  }

  /// Removes tensors that a killed process has written, or was about to remove, without description.
  private func removeUndescribed() {
    let names = Set((try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? [])
    for name in names where name.hasSuffix(".safetensors") {
      let stem = name.dropLast(".safetensors".count)
      if Int(stem) != nil, !names.contains(stem + ".json") { unlink(folder + "/" + name) }
    }
  }

  /// The weights that a checkpoint has of what trains and of the buffers, mapped from its file.
  ///
  /// - Parameter raw: the parameters themselves, where a running average of them is kept.
  /// - Throws: `noInput` when there is no such checkpoint; `badInput` when it does not verify.
  public func weights(at step: Int, raw: Bool) throws -> [String: Tensor] {
    guard steps().contains(step) else { throw Failure.noCheckpoint(folder, step, known: steps()) }
    let file: SafetensorsFile
    do { (_, file) = try verified(step) } catch var failure as Failure
      where failure.kind == .badInput
    {
      failure.remedy = "take another checkpoint"
      throw failure
    }
    var weights: [String: Tensor] = [:]
    for prefix in ["parameter.", "buffer."] + (raw ? [] : ["average."]) {
      for name in file.names where name.hasPrefix(prefix) {
        weights[String(name.dropFirst(prefix.count))] = try Tensor(file: file, name: name)
      }
    }
    return weights
  }

  /// A checkpoint's description and its tensors, verified.
  private func verified(_ step: Int) throws -> (JSON, SafetensorsFile) {
    let description = path(step, ".json")
    let file = path(step, ".safetensors")
    guard let data = FileManager.default.contents(atPath: description) else {
      throw Failure.systemCall("read", description, code: errno)
    }
    guard step >= 0, let json = try? JSON.parse([UInt8](data)),
      json["format"]?.string == "ttstools checkpoint", json["step"]?.integer == step,
      let digest = json["sha256"]?.string
    else { throw Failure.damagedCheckpoint(description, "it does not describe a checkpoint") }
    guard json["version"]?.integer == 1 else { throw Failure.checkpointVersion(description) }
    guard try fileDigest(file).description == digest else {
      throw Failure.damagedCheckpoint(file, "its content is not what was written")
    }
    return (json, try SafetensorsFile(path: file))
  }

  /// The checkpoint of a step.
  func read(_ step: Int, like state: TrainingState) throws -> TrainingState {
    let (json, tensors) = try verified(step)
    let (description, file) = (path(step, ".json"), path(step, ".safetensors"))
    func check(_ prefix: String, _ sets: [ParameterSet]) throws {
      let count = tensors.names.count { $0.hasPrefix(prefix) }
      guard count == sets.reduce(0, { $0 + $1.names.count }) else {
        throw Failure.otherCheckpoint(file)
      }
    }
    func set(_ prefix: String, like set: ParameterSet) throws -> ParameterSet {
      ParameterSet(
        Dictionary(
          uniqueKeysWithValues: try zip(set.names, set.values).map { name, like in
            guard tensors.shape(of: prefix + name) == like.shape else {
              throw Failure.otherCheckpoint(
                file, "it belongs to another model: '\(name)' is missing or has another shape")
            }
            return (name, Tensor(try tensors.floats(prefix + name), shape: like.shape))
          }))
    }
    func count(_ json: JSON?) throws -> Int {
      guard let count = json?.integer, (0...step).contains(count) else {
        throw Failure.otherCheckpoint(description)
      }
      return count
    }
    let buffers = ParameterSet(state.buffers)
    try check("first.", state.optimizers.map(\.adamW.first))
    try check("second.", state.optimizers.map(\.adamW.second))
    try check("momentum.", state.optimizers.compactMap(\.muon?.momentum))
    try check("parameter.", [state.parameters])
    try check("average.", state.average.map { [$0] } ?? [])
    try check("buffer.", [buffers])
    var optimizers = state.optimizers
    let groupSteps = json["group_steps"]?.array ?? [.integer(Int64(step))]
    guard groupSteps.count == optimizers.count else { throw Failure.otherCheckpoint(description) }
    for index in optimizers.indices {
      let (adamW, muon) = (optimizers[index].adamW, optimizers[index].muon)
      let counts = try adamW.first.names.map { try count(json["optimizer_steps"]?[$0]) }
      optimizers[index].steps = try count(groupSteps[index])
      optimizers[index].adamW.restore(
        steps: counts, first: try set("first.", like: adamW.first),
        second: try set("second.", like: adamW.second))
      if let muon {
        optimizers[index].muon?.restore(momentum: try set("momentum.", like: muon.momentum))
      }
    }
    return TrainingState(
      step: step, parameters: try set("parameter.", like: state.parameters),
      optimizers: optimizers, average: try state.average.map { try set("average.", like: $0) },
      buffers: try set("buffer.", like: buffers).dictionary)
  }
}

/// A number with zeros before it, so that names sort by it.
func padded(_ number: Int, to width: Int) -> String {
  let digits = String(number)
  return String(repeating: "0", count: max(0, width - digits.count)) + digits
}

/// Removes what a killed process was writing into a folder that nobody else writes to.
public func removeLeftovers(in folder: String) {
  let names = (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []
  for name in names where name.hasPrefix(".") && name.contains(".tmp-") {
    unlink(folder + "/" + name)
  }
}

/// Writes float32 tensors to a canonical safetensors file without a copy of them in memory.
///
/// - Returns: the digest of the file.
func writeTensors(_ tensors: [(name: String, tensor: Tensor)], to path: String) throws
  -> SHA256Digest
{
  let file = try AtomicFile(path: path)
  var hasher = SHA256Hasher()
  try withExtendedLifetime(tensors) {
    let arrays = tensors.map { name, tensor in
      tensor.withValues {
        StoredArray(name, .f32, shape: tensor.shape, UnsafeRawBufferPointer($0))
      }
    }
    try writeSafetensors(arrays, metadata: [:]) { bytes in
      hasher.update(bytes)
      try file.write(bytes)
    }
  }
  try file.commit()
  return hasher.finish()
}

/// The digest of a file.
func fileDigest(_ path: String) throws -> SHA256Digest {
  let descriptor = open(path, O_RDONLY | O_CLOEXEC)
  guard descriptor >= 0 else { throw Failure.systemCall("open", path, code: errno) }
  defer { close(descriptor) }
  var hasher = SHA256Hasher()
  var buffer = [UInt8](repeating: 0, count: 1 << 20)
  while true {
    let count = read(descriptor, &buffer, buffer.count)
    if count < 0 {
      if errno == EINTR { continue }
      throw Failure.systemCall("read", path, code: errno)
    }
    if count == 0 { return hasher.finish() }
    buffer.withUnsafeBytes { hasher.update(UnsafeRawBufferPointer(rebasing: $0[..<count])) }
  }
}
