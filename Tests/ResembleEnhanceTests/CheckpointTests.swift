import Base
import Testing
