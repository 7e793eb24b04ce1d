DefinitionBlock ("", "SSDT", 2, "CANLAB", "GPIO", 1)
{
    Scope (\_SB)
    {
        Device (GPT0)
        {
            Name (_HID, "AMDIF031")
            Name (_STA, 0x0F)
            Name (_CRS, ResourceTemplate () { Memory32Fixed (ReadWrite, 0xFEA00000, 0x1000) })
        }
    }
}
