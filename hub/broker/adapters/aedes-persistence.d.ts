/**
 * Tells TypeScript where the types of aedes-persistence's promise form are; the package does not.
 */
declare module 'aedes-persistence/asyncPersistence.js' {
  import MemoryPersistence from 'aedes-persistence/types/asyncPersistence.js'
  export default MemoryPersistence
}
