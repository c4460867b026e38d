import { createMemoryStore } from '#store'
import { testStoreContract } from '../../store/contract.js'

testStoreContract('memory', async () => createMemoryStore())
