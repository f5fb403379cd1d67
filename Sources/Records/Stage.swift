public import Base

/// One step of a stream's making: which tool, with which parameters and models, on what.
///
/// No paths, times, hosts, users or thread counts: equal stages mean equal work.
public struct Stage: Sendable, Hashable {
  /// The tool.
  public var tool: String
  /// Raised only when the tool's output changes.
  public var version: Int
  /// Every option that can change content, defaults included.
  public var parameters: [String: String]
  /// Digests of what models contribute, by the name of their part.
  public var models: [String: String]
  /// The ids of the stages whose output this one read.
  public var parents: [String]

  /// A stage; without parents it gets those of the header that it is appended to.
  public init(
    tool: String, version: Int, parameters: [String: String] = [:], models: [String: String] = [:],
    parents: [String] = []
  ) {
    self.tool = tool
    self.version = version
    self.parameters = parameters
    self.models = models
    self.parents = parents
  }

  /// The SHA-256 of the stage's canonical JSON, in hexadecimal.
  public var id: String { SHA256Digest(of: json.canonicalBytes).description }

  /// The id that the stage would have without parents: what `--stage-id` prints before any input is
  /// read.
  public var ownID: String {
    var stage = self
    stage.parents = []
    return stage.id
  }

  /// The stage as headers hold it.
  public var json: JSON {
    [
      "models": JSON(models), "parameters": JSON(parameters), "parents": JSON(parents),
      "tool": .string(tool), "version": .integer(Int64(version)),
    ]
  }

  init?(_ json: JSON) {
    guard let tool = json["tool"]?.string, let version = json["version"]?.integer,
      let parameters = json["parameters"]?.stringMembers,
      let models = json["models"]?.stringMembers,
      let parents = json["parents"]?.stringElements, json.object?.count == 5
    else { return nil }
    self.init(
      tool: tool, version: version, parameters: parameters, models: models, parents: parents)
  }
}

/// What stands at the head of a segment: how it was made and what a reader must know.
public struct StreamHeader: Sendable, Equatable {
  /// The stages, each after its parents.
  public var stages: [Stage]
  /// What a reader must know to read this; none is defined yet.
  public var features: [String]

  /// The format version that this module writes and reads.
  public static let formatVersion: UInt32 = 1
  /// The features that this module knows.
  static let knownFeatures: Set<String> = []

  /// A header.
  public init(stages: [Stage] = [], features: [String] = []) {
    self.stages = stages
    self.features = features
  }

  /// The ids of the stages whose output nobody in this header read, sorted: normally one.
  public var leaves: [String] {
    let read = Set(stages.flatMap(\.parents))
    return stages.map(\.id).filter { !read.contains($0) }.sortedByCodePoints
  }

  /// The header after one more stage.
  public func appending(_ stage: Stage) -> StreamHeader {
    var stage = stage
    if stage.parents.isEmpty { stage.parents = leaves }
    var header = self
    header.stages.append(stage)
    return header
  }

  /// The header of a stream that takes records from several: every stage once.
  public static func merging(_ headers: [StreamHeader]) -> StreamHeader {
    var merged = StreamHeader()
    var seen = Set<String>()
    for stage in headers.flatMap(\.stages) where seen.insert(stage.id).inserted {
      merged.stages.append(stage)
    }
    merged.features = Set(headers.flatMap(\.features)).sortedByCodePoints
    return merged
  }

  /// The header as JSON.
  public var json: JSON { ["features": JSON(features), "stages": .array(stages.map(\.json))] }

  /// - Returns: nil when the JSON is something else than a header.
  init?(_ json: JSON) {
    guard let stages = json["stages"]?.array, let features = json["features"]?.stringElements else {
      return nil
    }
    self.init(stages: stages.compactMap { Stage($0) }, features: features)
    guard self.stages.count == stages.count else { return nil }
    var known = Set<String>()
    for stage in self.stages {
      guard known.isSuperset(of: stage.parents) else { return nil }
      known.insert(stage.id)
    }
  }
}
